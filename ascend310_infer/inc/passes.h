// One recording of any length through a network, from disk to disk; as src/recordings/passes.py.
//
// Pass 0 reads the input, averages its channels and brings it to the network's rate. Pass 1 separates that in chunks
// and sums what GainsFromProducts needs for one gain and sign a track. Pass 2 scales the tracks and brings them back
// to the input's rate and length. Between the passes everything lies in temporary files, so the memory needed does not
// depend on the recording's length.
//
// Letters in shapes: C tracks, T samples at the input's rate, T' at the network's, t samples of a block.
#ifndef GDPRNN_PASSES_H_
#define GDPRNN_PASSES_H_

#include <functional>
#include <string>
#include <vector>

#include "remarks.h"
#include "sample_file.h"
#include "separation.h"
#include "track_files.h"

namespace gdprnn {

// A stage, seconds of audio since the last call, and seconds in all, less than 0 where that is not known.
using OnProgress = std::function<void(const char* stage, double seconds, double total)>;

// Pass 0: the mean of the channels at the network's rate, ceil(T * model_rate / rate) samples, into `mixture`.
//
// Raises Failure(kInput): the file cannot be used, for all the reasons of AudioReader, or its samples or rate are far
// from those of audio; Failure(kOutput): the disk is full.
InputReport ReadMixture(const std::string& path, int model_rate, const OnProgress& on_progress, SampleFile* mixture);

// Pass 1: the network's tracks [T', C] into `tracks`; returns the factor of each, [C].
//
// Raises Failure(kInference): the network fails or gives no numbers; Failure(kOutput): the disk is full.
std::vector<double> SeparateMixture(const SampleFile& mixture, const Separation& separation,
                                    const std::string& scratch_dir, const OnProgress& on_progress, SampleFile* tracks);

// Pass 2: the tracks with their gains, at the input's rate and length, in blocks [t, C].
void ScaleTracks(const SampleFile& tracks, const std::vector<double>& gains, int model_rate, const InputReport& report,
                 const OnProgress& on_progress, const BlockSink& sink);

}  // namespace gdprnn

#endif  // GDPRNN_PASSES_H_
