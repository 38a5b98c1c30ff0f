// An exported network in MindSpore's runtime. Nothing else in the program knows that runtime.
#ifndef GDPRNN_NETWORK_H_
#define GDPRNN_NETWORK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "description.h"
#include "network_file.h"
#include "options.h"

namespace mindspore {
class Status;
}

namespace gdprnn {

// What the runtime says of a failure, which often is little, in words of this program: "it says '...'".
std::string RuntimeReason(const mindspore::Status& status);

// Where a network runs.
struct Place {
  Device device = Device::kCpu;
  int device_id = 0;
  int num_threads = 1;  // of the processor
};

// Keeps the runtime's own log silent, unless `verbose` or GLOG_v is set. Call it before the first network is made.
void SetRuntimeLog(bool verbose);

// One network, ready to run, in one thread at a time.
class Network {
 public:
  // Builds the network from its file, which errors tell as `path`.
  // Raises Failure(kModel): the runtime does not take it, or its tensors are not those of the description.
  Network(const std::string& path, const NetworkFile& file, const Description& description, const Place& place);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // Separates at most B mixtures of `num_samples` samples each, at most M; writes the tracks of each, [C, num_samples].
  // Raises Failure(kInference): the runtime fails, or the tracks are not finite.
  void Run(const float* const* mixtures, float* const* tracks, size_t num_mixtures, int64_t num_samples);

 private:
  struct Runtime;

  void FillInputs(const float* const* mixtures, size_t num_mixtures, int64_t num_samples);
  void CopyTracks(const float* output, float* const* tracks, size_t num_mixtures, int64_t num_samples) const;

  std::string path_;
  Description description_;
  std::unique_ptr<Runtime> runtime_;
};

}  // namespace gdprnn

#endif  // GDPRNN_NETWORK_H_
