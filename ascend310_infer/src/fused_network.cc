#include "fused_network.h"

#include <cstdio>
#include <utility>

#include "failure.h"

namespace gdprnn {

FusedNetwork::FusedNetwork(const std::string& path, const std::string& bytes, const Description& description,
                           const KernelLibrary& library, bool use_bfloat16, int num_threads)
    : path_(path), weights_(bytes, description, path), library_(library), use_bfloat16_(use_bfloat16),
      num_threads_(num_threads) {
  const GdprnnNetwork& network = weights_.network();
  const int multiple = library.half_multiple;
  if (use_bfloat16 && (network.num_filters % multiple != 0 || network.hidden_size % multiple != 0)) {
    throw Failure(kOptions, "--amp: found bfloat16 with N = " + std::to_string(network.num_filters) + " and H = " +
                                std::to_string(network.hidden_size) + ", expected multiples of " +
                                std::to_string(multiple) + ", or none");
  }
}

void FusedNetwork::Run(const float* const* mixtures, float* const* tracks, size_t num_mixtures, int64_t num_samples) {
  char reason[200] = "";
  const int status = library_.separate(&weights_.network(), mixtures, tracks, static_cast<int64_t>(num_mixtures),
                                       num_samples, num_threads_, use_bfloat16_ ? 1 : 0, reason, sizeof reason);
  if (status != 0) throw Failure(kInference, path_ + ": cannot be run on the input (" + reason + ")");
  const size_t count = static_cast<size_t>(weights_.network().num_speakers) * static_cast<size_t>(num_samples);
  for (size_t mixture = 0; mixture < num_mixtures; ++mixture) CheckFinite(path_, tracks[mixture], count);
}

Networks MakeFusedNetworks(const Options& options, const Description& description, const PoolPlan& plan) {
  const KernelLibrary library = LoadKernels(options.use_bfloat16);
  if (options.verbose) std::fprintf(stderr, "operators for %s\n", library.kind.c_str());
  Networks networks;
  networks.push_back(std::make_unique<FusedNetwork>(options.model_path, ReadModel(options.model_path, description),
                                                    description, library, options.use_bfloat16, plan.threads_each));
  return networks;
}

}  // namespace gdprnn
