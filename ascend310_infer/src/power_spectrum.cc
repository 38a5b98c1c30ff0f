#include "power_spectrum.h"

#include <cmath>

namespace gdprnn {
namespace {

constexpr Eigen::Index kLargestQuickFactor = 13;

}  // namespace

PowerSpectrum::PowerSpectrum(Eigen::Index frame)
    : frame_(frame), window_(frame), windowed_(frame), spectrum_(static_cast<size_t>(num_bins())) {
  const double pi = std::acos(-1.0);
  for (Eigen::Index n = 0; n < frame; ++n) {
    window_(n) = 0.5 + 0.5 * std::cos(pi * static_cast<double>(2 * n - frame) / static_cast<double>(frame));
  }
  transform_.SetFlag(Eigen::FFT<double>::HalfSpectrum);
  if (LargestPrimeFactor(frame) > kLargestQuickFactor) chirp_transform_.emplace(frame);
}

void PowerSpectrum::operator()(const float* samples, double* powers) {
  windowed_ = Eigen::Map<const Eigen::ArrayXf>(samples, frame_).cast<double>() * window_;
  if (chirp_transform_) {
    (*chirp_transform_)(windowed_.data(), spectrum_.data());
  } else {
    transform_.fwd(spectrum_.data(), windowed_.data(), frame_);
  }
  for (const std::complex<double>& value : spectrum_) *powers++ = std::norm(value);
}

}  // namespace gdprnn
