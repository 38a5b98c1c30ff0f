// What several files take for the largest that makes sense.
#ifndef GDPRNN_BOUNDS_H_
#define GDPRNN_BOUNDS_H_

#include <cstdint>

namespace gdprnn {

constexpr int kLowestRate = 100;          // Hz; beyond these lies no audio, and soxr leaves its range
constexpr int kHighestRate = 10'000'000;  // Hz
constexpr int kMostSpeakers = 64;
constexpr int kLargestBatch = 4096;
constexpr int64_t kMostModelBytes = int64_t{1} << 33;  // of an exported network
constexpr double kLargestSample = 1e10;  // the network's squares of larger ones would leave 32-bit floating point

}  // namespace gdprnn

#endif  // GDPRNN_BOUNDS_H_
