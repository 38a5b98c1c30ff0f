// A network that is ready to run, whatever runs it.
#ifndef GDPRNN_NETWORK_H_
#define GDPRNN_NETWORK_H_

#include <cstdint>
#include <cstddef>
#include <string>

namespace gdprnn {

// In one thread at a time.
class Network {
 public:
  virtual ~Network() = default;

  // Separates at most as many mixtures as it was made for, of `num_samples` samples each, at most M; writes the tracks
  // of each, [C, num_samples]. Raises Failure(kInference): it cannot be run, or the tracks are not finite.
  virtual void Run(const float* const* mixtures, float* const* tracks, size_t num_mixtures, int64_t num_samples) = 0;
};

// Raises Failure(kInference) unless `count` samples of an output are finite; tells the network as `path`.
void CheckFinite(const std::string& path, const float* samples, size_t count);

}  // namespace gdprnn

#endif  // GDPRNN_NETWORK_H_
