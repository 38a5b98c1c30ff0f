#include "network.h"

#include <algorithm>
#include <cmath>

#include "failure.h"

namespace gdprnn {

void CheckFinite(const std::string& path, const float* samples, size_t count) {
  if (!std::all_of(samples, samples + count, [](float sample) { return std::isfinite(sample); })) {
    throw Failure(kInference, path + ": the network's output is NaN or infinite, expected finite weights");
  }
}

}  // namespace gdprnn
