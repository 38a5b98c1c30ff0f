// Recordings in, one wav file a speaker out; as src/recordings/inputs.py and src/separation.py.
#ifndef GDPRNN_WAV_MODE_H_
#define GDPRNN_WAV_MODE_H_

#include <set>
#include <string>
#include <vector>

#include "separation.h"

namespace gdprnn {

// A recording, and the files of its tracks without their folder: <stem>_s1.wav to <stem>_sC.wav.
struct PlannedInput {
  std::string path;
  std::vector<std::string> outputs;
};

// Raises Failure(kOptions) where an output would be an input, that of another input, or a folder, or has a longer
// name than files can have.
std::vector<PlannedInput> PlanOutputs(const std::vector<std::string>& inputs, const std::string& output_dir,
                                      int num_speakers);

// Separates one input; its outputs appear together or not at all. What a listener should know of it is told on standard
// error, a note of the same words only once, which is what `told` remembers; what was written on standard output.
//
// Raises Failure(kInput), Failure(kInference) or Failure(kOutput).
void SeparateFile(const PlannedInput& planned, const std::string& output_dir, const Separation& separation,
                  std::set<std::string>* told);

}  // namespace gdprnn

#endif  // GDPRNN_WAV_MODE_H_
