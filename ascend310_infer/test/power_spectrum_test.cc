// Spectra against their definition, for all kinds of lengths.
#include "power_spectrum.h"

#include <doctest/doctest.h>

#include <cmath>
#include <complex>
#include <random>

#include "chirp_transform.h"

namespace gdprnn {
namespace {

const double kPi = std::acos(-1.0);

std::vector<float> Noise(Eigen::Index count) {
  std::mt19937 random(static_cast<unsigned>(count));
  std::normal_distribution<float> normal;
  std::vector<float> samples(static_cast<size_t>(count));
  for (float& sample : samples) sample = normal(random);
  return samples;
}

double PowerByDefinition(const std::vector<float>& samples, Eigen::Index bin) {
  const auto size = static_cast<double>(samples.size());
  std::complex<double> sum = 0.0;
  for (size_t n = 0; n < samples.size(); ++n) {
    const double window = 0.5 - 0.5 * std::cos(2 * kPi * static_cast<double>(n) / size);
    const double turns = std::fmod(static_cast<double>(bin) * static_cast<double>(n), size) / size;
    sum += std::polar(window * double{samples[n]}, -2 * kPi * turns);
  }
  return std::norm(sum);
}

}  // namespace

TEST_CASE("powers are those of the definition, whatever the length") {
  for (const Eigen::Index frame : {2, 4, 6, 9, 26, 64, 353, 706, 512, 1024, 1411}) {
    CAPTURE(frame);
    PowerSpectrum spectrum(frame);
    const std::vector<float> samples = Noise(frame);
    std::vector<double> powers(static_cast<size_t>(spectrum.num_bins()));
    for (int again = 0; again < 2; ++again) spectrum(samples.data(), powers.data());
    for (Eigen::Index bin = 0; bin < spectrum.num_bins(); ++bin) {
      const double right = PowerByDefinition(samples, bin);
      CHECK(std::abs(powers[static_cast<size_t>(bin)] - right) < 1e-11 * (right + static_cast<double>(frame)));
    }
  }
}

TEST_CASE("silence has no power at all") {
  for (const Eigen::Index frame : {512, 706}) {
    PowerSpectrum spectrum(frame);
    std::vector<double> powers(static_cast<size_t>(spectrum.num_bins()), 1.0);
    spectrum(Noise(frame).data(), powers.data());
    spectrum(std::vector<float>(static_cast<size_t>(frame), 0.0F).data(), powers.data());
    for (const double power : powers) CHECK(power == 0.0);
  }
}

TEST_CASE("the largest prime factor") {
  CHECK(LargestPrimeFactor(1) == 1);
  CHECK(LargestPrimeFactor(2) == 2);
  CHECK(LargestPrimeFactor(2822) == 83);
  CHECK(LargestPrimeFactor(1024) == 2);
  CHECK(LargestPrimeFactor(353) == 353);
}

}  // namespace gdprnn
