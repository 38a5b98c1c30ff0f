// Another sample rate, block by block, by the method and with the numbers of src/audio_stream.py.
#ifndef GDPRNN_RESAMPLER_H_
#define GDPRNN_RESAMPLER_H_

#include <cstdint>
#include <memory>
#include <vector>

struct soxr;  // libsoxr's handle

namespace gdprnn {

// soxr's high-quality band-limited method, in 64-bit floating point; equal rates pass samples on as they are.
class Resampler {
 public:
  // Rates in Hz. Raises Failure(kInput) where soxr does not take them.
  Resampler(int from_rate, int to_rate, int num_channels);
  ~Resampler();

  // Takes the next samples, [num_samples, C], and returns what is ready, [t, C], which stays valid until the next call.
  const std::vector<double>& Add(const double* samples, int64_t num_samples);

  // What is left at the end. All together are round(T * to_rate / from_rate) samples, or one less.
  const std::vector<double>& Finish();

 private:
  void Process(const double* samples, int64_t num_samples);

  int num_channels_;
  double growth_;
  std::unique_ptr<soxr, void (*)(soxr*)> handle_;  // none for equal rates
  std::vector<double> ready_;
};

// ceil(T * to_rate / from_rate).
int64_t ResampledLength(int64_t num_samples, int from_rate, int to_rate);

}  // namespace gdprnn

#endif  // GDPRNN_RESAMPLER_H_
