// Samples on disk that are gone when the program is; as SampleFile of src/audio_stream.py.
#ifndef GDPRNN_SAMPLE_FILE_H_
#define GDPRNN_SAMPLE_FILE_H_

#include <cstdint>
#include <string>

#include "recording.h"

namespace gdprnn {

// Samples in a temporary file, float32 [T] or [T, C], written in turn and read at any place.
//
// By plain reads and not as a memory map, whose pages would count as the program's memory. The file has no name: it is
// gone when the program is, whatever ended that. (A program must ignore SIGXFSZ for a limit on the size of files to be
// told like a full disk.)
class SampleFile : public Recording {
 public:
  // Makes the file in `folder`, or in the system's place for temporary files where that is "".
  // Raises Failure(kOutput) where it cannot be made.
  explicit SampleFile(const std::string& folder, int64_t num_channels = 1);
  ~SampleFile() override;
  SampleFile(const SampleFile&) = delete;
  SampleFile& operator=(const SampleFile&) = delete;

  int64_t NumSamples() const override { return num_samples_; }
  int64_t num_channels() const { return num_channels_; }

  // Writes [num_samples, C] after what is there. Raises Failure(kOutput) where there is no more room.
  void Append(const float* samples, int64_t num_samples);

  // Crops or zero-pads at the end. Raises Failure(kOutput) where that cannot be done.
  void SetLength(int64_t num_samples);

  // Copies the samples [start, start + count), each of C channels, to `to`, [count, C].
  // Raises Failure(kOutput) where the disk fails or not all of them are there.
  void Read(int64_t start, int64_t count, float* to) const override;

 private:
  int64_t NumBytes(int64_t num_samples) const;
  [[noreturn]] void Fail(const std::string& cannot, const std::string& reason) const;

  std::string folder_;
  int64_t num_channels_;
  int64_t num_samples_ = 0;
  int descriptor_ = -1;
};

}  // namespace gdprnn

#endif  // GDPRNN_SAMPLE_FILE_H_
