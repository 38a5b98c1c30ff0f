// An exported network run by this program's own operators (src/kernels of the repository), on a processor.
#ifndef GDPRNN_FUSED_NETWORK_H_
#define GDPRNN_FUSED_NETWORK_H_

#include <memory>
#include <string>

#include "description.h"
#include "kernel_library.h"
#include "network.h"
#include "network_pool.h"
#include "network_weights.h"
#include "options.h"

namespace gdprnn {

class FusedNetwork : public Network {
 public:
  // `bytes` of the MINDIR that errors tell as `path`. Raises Failure(kModel), as NetworkWeights; Failure(kOptions):
  // bfloat16 does not have such sizes.
  FusedNetwork(const std::string& path, const std::string& bytes, const Description& description,
               const KernelLibrary& library, bool use_bfloat16, int num_threads);

  void Run(const float* const* mixtures, float* const* tracks, size_t num_mixtures, int64_t num_samples) override;

 private:
  std::string path_;
  NetworkWeights weights_;
  KernelLibrary library_;
  bool use_bfloat16_;
  int num_threads_;
};

// The one network of a pool, from the file at `options.model_path`.
// Raises Failure(kModel): it is missing, or not that of its description; and what FusedNetwork and LoadKernels raise.
Networks MakeFusedNetworks(const Options& options, const Description& description, const PoolPlan& plan);

}  // namespace gdprnn

#endif  // GDPRNN_FUSED_NETWORK_H_
