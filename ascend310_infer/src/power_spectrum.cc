#include "power_spectrum.h"

#include <cmath>

namespace gdprnn {

PowerSpectrum::PowerSpectrum(Eigen::Index frame)
    : frame_(frame), window_(frame), windowed_(frame), spectrum_(static_cast<size_t>(num_bins())) {
  const double pi = std::acos(-1.0);
  for (Eigen::Index n = 0; n < frame; ++n) {
    window_(n) = 0.5 + 0.5 * std::cos(pi * static_cast<double>(2 * n - frame) / static_cast<double>(frame));
  }
  transform_.SetFlag(Eigen::FFT<double>::HalfSpectrum);
}

void PowerSpectrum::operator()(const float* samples, double* powers) {
  windowed_ = Eigen::Map<const Eigen::ArrayXf>(samples, frame_).cast<double>() * window_;
  transform_.fwd(spectrum_.data(), windowed_.data(), frame_);
  for (const std::complex<double>& value : spectrum_) *powers++ = std::norm(value);
}

}  // namespace gdprnn
