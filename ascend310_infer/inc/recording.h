// Samples that are read piece by piece, wherever they lie.
#ifndef GDPRNN_RECORDING_H_
#define GDPRNN_RECORDING_H_

#include <cstdint>

namespace gdprnn {

// A recording of one channel, float32.
class Recording {
 public:
  virtual ~Recording() = default;

  virtual int64_t NumSamples() const = 0;

  // Copies the samples [start, start + count), all of which must be in the recording, to `to`.
  virtual void Read(int64_t start, int64_t count, float* to) const = 0;
};

}  // namespace gdprnn

#endif  // GDPRNN_RECORDING_H_
