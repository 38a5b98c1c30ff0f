// Recordings of any length from chunks; as separate_in_chunks of src/stitching/chunks.py.
//
// Letters in shapes: C speakers, M samples of a chunk, t samples of a piece.
#ifndef GDPRNN_STITCHING_H_
#define GDPRNN_STITCHING_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "chunks.h"
#include "recording.h"

namespace gdprnn {

// The network on some mixtures of num_samples samples each; it writes the tracks of each one, [C, num_samples].
using SeparateBatch =
    std::function<void(const std::vector<const float*>& mixtures, int64_t num_samples, std::vector<float*> tracks)>;

// Separates a recording of any length; the memory taken does not grow with it, but for some kilobytes a chunk.
//
// All chunks are separated before the first piece comes, because what is heard late can tell who was who early. Until
// then the used parts of the chunks wait in a temporary file, T * C * 4 bytes and some, in `scratch_dir` ("": in the
// system's place).
//
// `recording` is at the network's rate, `sample_rate` in Hz, and not empty. At most `batch_size` chunks go through the
// network together. `on_progress` is called with the number of samples that were finished since the last call. `sink`
// is called with consecutive pieces of the tracks, [C, t], which together are [C, T]; the order of the tracks is the
// same in all. Where one chunk covers the recording the only piece is the network's own output, of T samples.
//
// Raises Failure(kOutput) where the temporary file cannot be written.
void SeparateInChunks(const Recording& recording, const SeparateBatch& separate, int num_tracks,
                      const Chunking& chunking, int sample_rate, int batch_size, const std::string& scratch_dir,
                      const std::function<void(int64_t)>& on_progress,
                      const std::function<void(const float* tracks, int64_t num_samples)>& sink);

}  // namespace gdprnn

#endif  // GDPRNN_STITCHING_H_
