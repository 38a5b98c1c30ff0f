#include "chirp_transform.h"

#include <algorithm>
#include <cmath>

namespace gdprnn {
namespace {

using Eigen::Index;

// At least so many, and without a prime factor above 5.
Index QuickLength(Index at_least) {
  while (LargestPrimeFactor(at_least) > 5) ++at_least;
  return at_least;
}

}  // namespace

Index LargestPrimeFactor(Index number) {
  Index largest = 1;
  for (Index factor = 2; number > 1; ++factor) {
    while (number % factor == 0) {
      largest = factor;
      number /= factor;
    }
  }
  return largest;
}

ChirpTransform::ChirpTransform(Index num_samples) : chirp_(static_cast<size_t>(num_samples)) {
  const double pi = std::acos(-1.0);
  const size_t length = static_cast<size_t>(QuickLength(2 * num_samples));
  signal_.resize(length);
  convolved_.resize(length);
  response_.resize(length);
  std::vector<std::complex<double>> filter(length);
  for (Index k = 0; k < num_samples; ++k) {
    const Index turns = k * k % (2 * num_samples);  // of half a circle / n; whole circles would cost accuracy
    const auto place = static_cast<size_t>(k);
    chirp_[place] = std::polar(1.0, -pi * static_cast<double>(turns) / static_cast<double>(num_samples));
    filter[place] = filter[(length - place) % length] = std::conj(chirp_[place]);
  }
  transform_.fwd(response_.data(), filter.data(), static_cast<Index>(length));
}

void ChirpTransform::operator()(const double* samples, std::complex<double>* spectrum) {
  const auto length = static_cast<Index>(signal_.size());
  std::fill(signal_.begin(), signal_.end(), 0.0);
  for (size_t place = 0; place < chirp_.size(); ++place) signal_[place] = samples[place] * chirp_[place];
  transform_.fwd(convolved_.data(), signal_.data(), length);
  for (size_t place = 0; place < convolved_.size(); ++place) convolved_[place] *= response_[place];
  transform_.inv(signal_.data(), convolved_.data(), length);
  for (size_t bin = 0; bin <= chirp_.size() / 2; ++bin) spectrum[bin] = signal_[bin] * chirp_[bin];
}

}  // namespace gdprnn
