#include "remarks.h"

#include <cmath>

#include "text.h"

namespace gdprnn {
namespace {

constexpr double kQuietDbfs = -60.0;     // RMS; speech is recorded at about -35 to -15
constexpr double kLoudDbfs = 0.1;        // RMS; a square wave at full scale has 0: beyond, samples have another scale
constexpr double kClippedLevel = 0.25;   // of full scale: flat tops below are more likely steps of a quiet recording
constexpr int64_t kClippedSamples = 3;   // in a row at the extreme value are a run …
constexpr int64_t kClippedRuns = 3;      // … and so many are clipping: the top of one slow swing may be flat by chance

std::vector<std::string> LevelWarnings(const InputReport& report) {
  if (report.rms == 0) {
    return {std::string(report.num_channels == 1 ? "silent" : "silent once its channels are averaged") +
            ", and so are its tracks"};
  }
  const double level_dbfs = 20 * std::log10(report.rms);
  if (level_dbfs < kQuietDbfs) {
    return {Format("very quiet: found a level of %.0f dBFS (RMS), expected %.0f or more", level_dbfs, kQuietDbfs)};
  }
  if (level_dbfs > kLoudDbfs) {
    return {Format("very loud: found a level of %.0f dBFS (RMS), expected samples between -1 and 1", level_dbfs)};
  }
  return {};
}

}  // namespace

Meter::Meter(int num_channels) : sides_(2 * static_cast<size_t>(num_channels), Side{kClippedLevel}) {}

void Meter::Add(const double* channels, const double* mono, int64_t num_samples) {
  num_samples_ += num_samples;
  for (int64_t at = 0; at < num_samples; ++at) energy_ += mono[at] * mono[at];
  const size_t num_channels = sides_.size() / 2;
  for (int64_t at = 0; at < num_samples; ++at) {
    for (size_t channel = 0; channel < num_channels; ++channel) {
      const double value = channels[static_cast<size_t>(at) * num_channels + channel];
      AddToSide(value, &sides_[2 * channel]);
      AddToSide(-value, &sides_[2 * channel + 1]);
    }
  }
}

void Meter::AddToSide(double value, Side* side) {
  if (value < side->extreme) {
    side->streak = 0;
    return;
  }
  if (value > side->extreme) *side = Side{value};
  if (++side->streak == kClippedSamples) ++side->runs;
}

double Meter::rms() const {
  return std::sqrt(energy_ / static_cast<double>(num_samples_));
}

int64_t Meter::clipped_runs() const {
  int64_t sum = 0;
  for (const Side& side : sides_) sum += side.runs;
  return sum;
}

std::vector<std::string> FindWarnings(const InputReport& report, int model_rate, int kernel_size) {
  std::vector<std::string> lines;
  if (report.sample_rate < model_rate) {
    lines.push_back(Format("found a sample rate of %d Hz, so there is nothing above %g Hz; expected %d Hz or more, as "
                           "the network was trained on",
                           report.sample_rate, report.sample_rate / 2.0, model_rate));
  }
  if (static_cast<double>(report.num_samples) * model_rate < static_cast<double>(kernel_size) * report.sample_rate) {
    lines.push_back(Format("found a length of %lld at %d Hz, expected at least one window of the network, %d samples "
                           "at %d Hz",
                           static_cast<long long>(report.num_samples), report.sample_rate, kernel_size, model_rate));
  }
  for (const std::string& line : LevelWarnings(report)) lines.push_back(line);
  if (report.clipped_runs >= kClippedRuns) {
    lines.push_back(Format("clipped: found %lld runs of %lld or more samples at the extreme value",
                           static_cast<long long>(report.clipped_runs), static_cast<long long>(kClippedSamples)));
  }
  return lines;
}

std::vector<std::string> FindNotes(const InputReport& report, int model_rate) {
  std::vector<std::string> lines;
  if (report.num_channels > 1) lines.push_back(Format("its %d channels are averaged", report.num_channels));
  if (report.sample_rate > model_rate) {
    lines.push_back(Format("the network hears up to %g Hz: its tracks, at %d Hz as the input, have nothing above that",
                           model_rate / 2.0, report.sample_rate));
  }
  return lines;
}

}  // namespace gdprnn
