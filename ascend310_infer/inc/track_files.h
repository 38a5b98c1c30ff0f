// The tracks of a recording as wav files, written block by block; as src/recordings/track_files.py.
//
// Letters in shapes: C files, T samples, t samples of a block.
#ifndef GDPRNN_TRACK_FILES_H_
#define GDPRNN_TRACK_FILES_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "hidden_folder.h"
#include "sample_format.h"

namespace gdprnn {

using BlockSink = std::function<void(const double* block, int64_t num_samples)>;  // [t, C], full scale at 1.0
using MakeBlocks = std::function<void(const BlockSink& sink)>;                    // gives all blocks in turn

// Writes C files at their `from`, one a column of the blocks, which together are [T, C]. A file whose format would
// clip is written again as 32-bit float, for which the blocks are made a second time.
//
// Returns the format of each file in the end. Raises Failure(kOutput): a file cannot be written.
std::vector<SampleFormat> WriteTracks(const std::vector<Placement>& files, SampleFormat format,
                                      const MakeBlocks& make_blocks, int64_t num_samples, int sample_rate);

}  // namespace gdprnn

#endif  // GDPRNN_TRACK_FILES_H_
