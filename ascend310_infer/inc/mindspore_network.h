// An exported network in MindSpore's runtime. Nothing else knows that runtime.
#ifndef GDPRNN_MINDSPORE_NETWORK_H_
#define GDPRNN_MINDSPORE_NETWORK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "description.h"
#include "network.h"
#include "network_file.h"
#include "network_pool.h"
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

class MindSporeNetwork : public Network {
 public:
  // Builds the network from its file, which errors tell as `path`.
  // Raises Failure(kModel): the runtime does not take it, or its tensors are not those of the description.
  MindSporeNetwork(const std::string& path, const NetworkFile& file, const Description& description, const Place& place);
  ~MindSporeNetwork() override;
  MindSporeNetwork(const MindSporeNetwork&) = delete;
  MindSporeNetwork& operator=(const MindSporeNetwork&) = delete;

  void Run(const float* const* mixtures, float* const* tracks, size_t num_mixtures, int64_t num_samples) override;

 private:
  struct Runtime;

  void FillInputs(const float* const* mixtures, size_t num_mixtures, int64_t num_samples);
  void CopyTracks(const float* output, float* const* tracks, size_t num_mixtures, int64_t num_samples) const;

  std::string path_;
  Description description_;
  std::unique_ptr<Runtime> runtime_;
};

// As many networks as planned, of B mixtures each, built one after the other from the file at `options.model_path`.
// Raises Failure(kModel): it is missing, not that of its description, or nothing that the runtime takes.
Networks MakeMindSporeNetworks(const Options& options, const Description& description, const PoolPlan& plan);

}  // namespace gdprnn

#endif  // GDPRNN_MINDSPORE_NETWORK_H_
