// The discrete Fourier transform of lengths with large prime factors, such as frames at multiples of 11,025 Hz.
#ifndef GDPRNN_CHIRP_TRANSFORM_H_
#define GDPRNN_CHIRP_TRANSFORM_H_

#include <Eigen/Core>
#include <complex>
#include <unsupported/Eigen/FFT>
#include <vector>

namespace gdprnn {

// The largest prime factor of a number, 1 of 1.
Eigen::Index LargestPrimeFactor(Eigen::Index number);

// Of n real samples, as a convolution with a chirp, whose length may be any above 2 n (Bluestein 1970, "A linear
// filtering approach to the computation of discrete Fourier transform", IEEE Transactions on Audio and
// Electroacoustics 18(4)). The usual algorithms take a time that grows with the largest prime factor.
class ChirpTransform {
 public:
  explicit ChirpTransform(Eigen::Index num_samples);

  // samples [n] -> spectrum [n / 2 + 1], of zero and the positive frequencies.
  void operator()(const double* samples, std::complex<double>* spectrum);

 private:
  std::vector<std::complex<double>> chirp_;     // [n]: exp(-i pi k^2 / n)
  std::vector<std::complex<double>> response_;  // spectrum of the conjugate chirp, around its first sample
  std::vector<std::complex<double>> signal_;
  std::vector<std::complex<double>> convolved_;
  Eigen::FFT<double> transform_;
};

}  // namespace gdprnn

#endif  // GDPRNN_CHIRP_TRANSFORM_H_
