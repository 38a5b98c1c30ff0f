// What a listener should know of a recording before trusting its tracks; as src/recordings/remarks.py.
#ifndef GDPRNN_REMARKS_H_
#define GDPRNN_REMARKS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace gdprnn {


// What is known of an input once it has been read.
struct InputReport {
  int64_t num_samples = 0;  // T
  int sample_rate = 0;      // Hz
  int num_channels = 0;
  int format = 0;   // libsndfile's SF_FORMAT_… of how samples are stored
  double rms = 0;   // of the mean of the channels, full scale at 1.0
  int64_t clipped_runs = 0;

  double seconds() const { return static_cast<double>(num_samples) / sample_rate; }
};

// Measures a recording block by block.
class Meter {
 public:
  explicit Meter(int num_channels);

  // Takes the next samples: of all channels, [num_samples, channels], and their mean, [num_samples].
  void Add(const double* channels, const double* mono, int64_t num_samples);

  int64_t num_samples() const { return num_samples_; }
  double rms() const;  // of the mean of the channels
  // Runs of three or more samples at the highest or lowest value of their channel.
  int64_t clipped_runs() const;

 private:
  struct Side {  // of a channel, upwards or downwards
    double extreme;
    int64_t runs = 0;    // at this extreme
    int64_t streak = 0;  // how many of the last samples are at it
  };
  static void AddToSide(double value, Side* side);

  int64_t num_samples_ = 0;
  double energy_ = 0;
  std::vector<Side> sides_;
};

// What speaks against good tracks, one line each, without the input's name.
std::vector<std::string> FindWarnings(const InputReport& report, int model_rate, int kernel_size);

// What is done to an input that a user may not expect, one line each, without the input's name.
std::vector<std::string> FindNotes(const InputReport& report, int model_rate);

}  // namespace gdprnn

#endif  // GDPRNN_REMARKS_H_
