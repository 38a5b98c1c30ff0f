// The weights of an exported network, as the fused operators take them.
#ifndef GDPRNN_NETWORK_WEIGHTS_H_
#define GDPRNN_NETWORK_WEIGHTS_H_

#include <string>
#include <vector>

#include "description.h"
#include "network_interface.h"

namespace gdprnn {

// Read from the MINDIR: a protocol buffer, whose graph holds them by the names of src/models/exported.py.
class NetworkWeights {
 public:
  // `bytes` of the file that errors tell as `path`.
  // Raises Failure(kModel): it is no MINDIR, lacks a weight, or one has another size than the others and the
  // description tell.
  NetworkWeights(const std::string& bytes, const Description& description, const std::string& path);
  NetworkWeights(const NetworkWeights&) = delete;
  NetworkWeights& operator=(const NetworkWeights&) = delete;

  const GdprnnNetwork& network() const { return network_; }

 private:
  std::vector<std::vector<float>> arrays_;  // encoder, head, its bias, and 14 of each block
  std::vector<const float*> blocks_;
  GdprnnNetwork network_{};
};

}  // namespace gdprnn

#endif  // GDPRNN_NETWORK_WEIGHTS_H_
