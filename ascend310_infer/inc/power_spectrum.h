// The power spectrum of frames of real samples.
#ifndef GDPRNN_POWER_SPECTRUM_H_
#define GDPRNN_POWER_SPECTRUM_H_

#include <Eigen/Core>
#include <complex>
#include <optional>
#include <unsupported/Eigen/FFT>
#include <vector>

#include "chirp_transform.h"

namespace gdprnn {

// Frames of one length, any, under a Hann window that is periodic in it.
class PowerSpectrum {
 public:
  explicit PowerSpectrum(Eigen::Index frame);

  Eigen::Index num_bins() const { return frame_ / 2 + 1; }

  // Squared magnitudes of the frame's discrete Fourier transform, of zero and the positive frequencies:
  // samples [frame] -> powers [bins].
  void operator()(const float* samples, double* powers);

 private:
  Eigen::Index frame_;
  Eigen::ArrayXd window_;
  Eigen::ArrayXd windowed_;
  std::vector<std::complex<double>> spectrum_;
  Eigen::FFT<double> transform_;
  std::optional<ChirpTransform> chirp_transform_;  // where that is quicker
};

}  // namespace gdprnn

#endif  // GDPRNN_POWER_SPECTRUM_H_
