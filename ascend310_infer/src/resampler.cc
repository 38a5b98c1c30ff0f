#include "resampler.h"

#include <soxr.h>

#include <string>

#include "failure.h"

namespace gdprnn {
namespace {

[[noreturn]] void Refuse(int from_rate, int to_rate, const char* reason) {
  throw Failure(kInput, "cannot be resampled from " + std::to_string(from_rate) + " to " + std::to_string(to_rate) +
                            " Hz (" + reason + ")");
}

}  // namespace

Resampler::Resampler(int from_rate, int to_rate, int num_channels)
    : num_channels_(num_channels), growth_(static_cast<double>(to_rate) / from_rate), handle_(nullptr, soxr_delete) {
  if (from_rate == to_rate) return;
  const soxr_io_spec_t io_spec = soxr_io_spec(SOXR_FLOAT64_I, SOXR_FLOAT64_I);
  const soxr_quality_spec_t quality_spec = soxr_quality_spec(SOXR_HQ, 0);
  soxr_error_t error = nullptr;
  handle_.reset(soxr_create(from_rate, to_rate, static_cast<unsigned>(num_channels), &error, &io_spec, &quality_spec,
                            nullptr));
  if (error != nullptr || !handle_) Refuse(from_rate, to_rate, error != nullptr ? error : "no memory");
}

Resampler::~Resampler() = default;

const std::vector<double>& Resampler::Add(const double* samples, int64_t num_samples) {
  if (handle_) {
    Process(samples, num_samples);
  } else {
    ready_.assign(samples, samples + num_samples * num_channels_);
  }
  return ready_;
}

const std::vector<double>& Resampler::Finish() {
  ready_.clear();
  if (handle_) Process(nullptr, 0);
  return ready_;
}

// The room for the result suffices, so all samples are taken; without samples soxr gives what it held back.
void Resampler::Process(const double* samples, int64_t num_samples) {
  const double expected = soxr_delay(handle_.get()) + static_cast<double>(num_samples) * growth_;
  const auto room = static_cast<size_t>(expected) + 2;
  const auto width = static_cast<size_t>(num_channels_);
  ready_.resize(room * width);
  size_t num_taken = 0;
  size_t num_given = 0;
  const soxr_error_t error = soxr_process(handle_.get(), samples, static_cast<size_t>(num_samples), &num_taken,
                                          ready_.data(), room, &num_given);
  if (error != nullptr || num_taken != static_cast<size_t>(num_samples)) {
    throw Failure(kInput, std::string("cannot be resampled (") + (error != nullptr ? error : "not all was taken") + ")");
  }
  ready_.resize(num_given * width);
}

int64_t ResampledLength(int64_t num_samples, int from_rate, int to_rate) {
  const int64_t rest = num_samples % from_rate;  // apart, so that no product leaves 64 bits
  return num_samples / from_rate * to_rate + (rest * to_rate + from_rate - 1) / from_rate;
}

}  // namespace gdprnn
