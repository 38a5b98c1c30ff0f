// Resampling, and the passes of the wav mode with a stand-in for the network.
#include "passes.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "resampler.h"
#include "test_folder.h"

namespace gdprnn {
namespace {

const OnProgress kNoProgress = [](const char*, double, double) {};

std::vector<double> Tone(int64_t num_samples, int sample_rate, double frequency) {
  std::vector<double> samples;
  for (int64_t at = 0; at < num_samples; ++at) {
    samples.push_back(0.4 * std::sin(2 * M_PI * frequency * static_cast<double>(at) / sample_rate));
  }
  return samples;
}

std::string FloatWav(const std::vector<double>& samples, int sample_rate) {
  const auto num_samples = static_cast<int64_t>(samples.size());
  std::string wav = WavHeader(num_samples, sample_rate, SampleFormat::kFloat);
  Encode(samples.data(), num_samples, SampleFormat::kFloat, &wav);
  return wav;
}

std::vector<double> Resampled(const std::vector<double>& samples, int from_rate, int to_rate, size_t block_length) {
  Resampler resampler(from_rate, to_rate, 1);
  std::vector<double> all;
  for (size_t start = 0; start < samples.size(); start += block_length) {
    const size_t count = std::min(block_length, samples.size() - start);
    const auto& part = resampler.Add(samples.data() + start, static_cast<int64_t>(count));
    all.insert(all.end(), part.begin(), part.end());
  }
  const auto& rest = resampler.Finish();
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}

TEST_CASE("lengths after resampling are rounded up, and leave no 64 bits") {
  CHECK(ResampledLength(1, 44100, 8000) == 1);
  CHECK(ResampledLength(44100, 44100, 8000) == 8000);
  CHECK(ResampledLength(44101, 44100, 8000) == 8001);
  CHECK(ResampledLength(int64_t{1} << 42, 100, 10'000'000) == (int64_t{1} << 42) * 100'000);
}

TEST_CASE("a tone stays the tone, whatever the blocks are") {
  const auto tone = Tone(20000, 44100, 440);
  const auto whole = Resampled(tone, 44100, 8000, 20000);
  const auto expected = Tone(static_cast<int64_t>(whole.size()), 8000, 440);
  CHECK(whole.size() >= 3627);
  for (size_t at = 300; at + 300 < whole.size(); ++at) CHECK(std::fabs(whole[at] - expected[at]) < 1e-5);
  CHECK(Resampled(tone, 44100, 8000, 77).size() == whole.size());
  CHECK(Resampled(tone, 8000, 8000, 77) == tone);
}

TEST_CASE("the input is read, averaged and brought to the network's rate") {
  const TestFolder folder;
  const std::string path = folder.Write("a.wav", FloatWav(Tone(16000, 16000, 300), 16000));
  SampleFile mixture(folder.PathOf("."));
  const InputReport report = ReadMixture(path, 8000, kNoProgress, &mixture);
  CHECK(report.num_samples == 16000);
  CHECK(report.rms == doctest::Approx(0.4 / std::sqrt(2)).epsilon(1e-3));
  CHECK(mixture.NumSamples() == 8000);
}

TEST_CASE("rates and samples far from those of audio are refused") {
  const TestFolder folder;
  SampleFile mixture(folder.PathOf("."));
  const std::string slow = folder.Write("slow.wav", FloatWav({0, 1}, 50));
  CHECK(FailureOf([&] { ReadMixture(slow, 8000, kNoProgress, &mixture); }) ==
        "4 " + slow + ": found a sample rate of 50 Hz, expected 100 to 10000000");
  const std::string huge = folder.Write("huge.wav", FloatWav({0, -3e20}, 8000));
  CHECK(FailureOf([&] { ReadMixture(huge, 8000, kNoProgress, &mixture); }) ==
        "4 " + huge + ": found samples up to 3e+20, expected them between -1 and 1");
}

// Stands in for a network: one track is the mixture times 3, the other silence.
void SeparateScaled(const std::vector<const float*>& mixtures, int64_t num_samples, std::vector<float*> tracks) {
  for (size_t place = 0; place < mixtures.size(); ++place) {
    for (int64_t at = 0; at < num_samples; ++at) {
      tracks[place][at] = 3 * mixtures[place][at];
      tracks[place][num_samples + at] = 0;
    }
  }
}

TEST_CASE("gains bring the tracks to the mixture's level, at the input's rate and length") {
  const TestFolder folder;
  const auto tone = Tone(22050, 44100, 300);
  const std::string path = folder.Write("a.wav", FloatWav(tone, 44100));
  SampleFile mixture(folder.PathOf("."));
  SampleFile tracks(folder.PathOf("."), 2);
  const InputReport report = ReadMixture(path, 8000, kNoProgress, &mixture);
  const Separation separation{SeparateScaled, 2, 8000, 8, {8000, 2000}, 1};
  const auto gains = SeparateMixture(mixture, separation, folder.PathOf("."), kNoProgress, &tracks);
  CHECK(gains[0] == doctest::Approx(1.0 / 3).epsilon(1e-4));
  CHECK(gains[1] == 0);
  std::vector<double> written;
  ScaleTracks(tracks, gains, 8000, report, kNoProgress, [&](const double* block, int64_t num_samples) {
    written.insert(written.end(), block, block + 2 * num_samples);
  });
  REQUIRE(written.size() == 2 * tone.size());
  for (size_t at = 1000; at + 1000 < tone.size(); ++at) {
    CHECK(std::fabs(written[2 * at] - tone[at]) < 1e-4);
    CHECK(written[2 * at + 1] == 0);
  }
}

}  // namespace
}  // namespace gdprnn
