#include "passes.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "audio_reader.h"
#include "bounds.h"
#include "failure.h"
#include "gains.h"
#include "resampler.h"
#include "text.h"
#include "tracks.h"

namespace gdprnn {
namespace {

void CheckRate(const AudioReader& reader) {
  if (reader.sample_rate() < kLowestRate || reader.sample_rate() > kHighestRate) {
    throw Failure(kInput, Format("%s: found a sample rate of %d Hz, expected %d to %d", reader.name().c_str(),
                                 reader.sample_rate(), kLowestRate, kHighestRate));
  }
}

void CheckScale(const std::string& name, const std::vector<double>& samples) {
  double largest = 0;
  for (const double sample : samples) largest = std::max(largest, std::fabs(sample));
  if (largest > kLargestSample) {
    throw Failure(kInput, Format("%s: found samples up to %.1g, expected them between -1 and 1", name.c_str(), largest));
  }
}

// The mean of the channels of a block [t, channels].
void Average(const std::vector<double>& block, int num_channels, std::vector<double>* mono) {
  mono->resize(block.size() / static_cast<size_t>(num_channels));
  const double* next = block.data();
  for (double& mean : *mono) {
    double sum = 0;
    for (int channel = 0; channel < num_channels; ++channel) sum += *next++;
    mean = sum / num_channels;
  }
}

void Append(const std::vector<double>& samples, SampleFile* file) {
  const std::vector<float> rounded(samples.begin(), samples.end());
  if (!rounded.empty()) file->Append(rounded.data(), static_cast<int64_t>(rounded.size()));
}

}  // namespace

InputReport ReadMixture(const std::string& path, int model_rate, const OnProgress& on_progress, SampleFile* mixture) {
  AudioReader reader(path);
  CheckRate(reader);
  const int rate = reader.sample_rate();
  const double seconds = reader.num_samples() > 0 ? static_cast<double>(reader.num_samples()) / rate : -1;
  const int64_t length = BlockLength(reader.num_channels(), static_cast<double>(model_rate) / rate);
  Meter meter(reader.num_channels());
  Resampler resampler(rate, model_rate, 1);
  std::vector<double> block;  // [t, channels]
  std::vector<double> mono;   // [t]
  while (const int64_t num_samples = reader.Read(length, &block)) {
    CheckScale(path, block);
    Average(block, reader.num_channels(), &mono);
    meter.Add(block.data(), mono.data(), num_samples);
    Append(resampler.Add(mono.data(), num_samples), mixture);
    on_progress("reading", static_cast<double>(num_samples) / rate, seconds);
  }
  Append(resampler.Finish(), mixture);
  mixture->SetLength(ResampledLength(meter.num_samples(), rate, model_rate));
  return {meter.num_samples(), rate, reader.num_channels(), reader.format(), meter.rms(), meter.clipped_runs()};
}

std::vector<double> SeparateMixture(const SampleFile& mixture, const Separation& separation,
                                    const std::string& scratch_dir, const OnProgress& on_progress,
                                    SampleFile* tracks) {
  const int count = separation.num_speakers;
  const double rate = separation.sample_rate;
  const double seconds = static_cast<double>(mixture.NumSamples()) / rate;
  Eigen::MatrixXd track_products = Eigen::MatrixXd::Zero(count, count);
  Eigen::VectorXd mixture_products = Eigen::VectorXd::Zero(count);
  const auto take_piece = [&](const float* piece, int64_t num_samples) {
    const Eigen::Map<const Tracks> samples(piece, count, num_samples);  // [C, t]
    const Eigen::MatrixXd values = samples.cast<double>();
    Eigen::VectorXf heard(num_samples);
    mixture.Read(tracks->NumSamples(), num_samples, heard.data());
    track_products += values * values.transpose();
    mixture_products += values * heard.cast<double>();
    const Eigen::MatrixXf by_sample = samples;  // column by column, so [t, C] in memory
    tracks->Append(by_sample.data(), num_samples);
  };
  SeparateInChunks(
      mixture, separation.separate, count, separation.chunking, separation.sample_rate, separation.batch_size,
      scratch_dir,
      [&](int64_t num_samples) { on_progress("separating", static_cast<double>(num_samples) / rate, seconds); },
      take_piece);
  return GainsFromProducts(track_products, mixture_products);
}

void ScaleTracks(const SampleFile& tracks, const std::vector<double>& gains, int model_rate, const InputReport& report,
                 const OnProgress& on_progress, const BlockSink& sink) {
  const auto count = static_cast<int>(gains.size());
  const int rate = report.sample_rate;
  const int64_t length =
      BlockLength(std::max(count, report.num_channels), static_cast<double>(rate) / model_rate);
  int64_t missing = report.num_samples;
  const auto give = [&](const double* block, int64_t num_samples) {  // cropped at the end
    const int64_t part = std::min(num_samples, missing);
    if (part == 0) return;
    sink(block, part);
    missing -= part;
    on_progress("writing", static_cast<double>(part) / rate, report.seconds());
  };
  const auto give_all = [&](const std::vector<double>& block) {
    give(block.data(), static_cast<int64_t>(block.size()) / count);
  };
  Resampler resampler(model_rate, rate, count);
  std::vector<float> raw;
  std::vector<double> scaled;
  for (int64_t start = 0; start < tracks.NumSamples(); start += length) {
    const int64_t num_samples = std::min(length, tracks.NumSamples() - start);
    raw.resize(static_cast<size_t>(num_samples * count));
    scaled.resize(raw.size());
    tracks.Read(start, num_samples, raw.data());
    for (size_t at = 0; at < raw.size(); ++at) scaled[at] = raw[at] * gains[at % gains.size()];
    give_all(resampler.Add(scaled.data(), num_samples));
  }
  give_all(resampler.Finish());
  const std::vector<double> silence(static_cast<size_t>(missing * count));  // soxr gives one sample less at times
  give(silence.data(), missing);
}

}  // namespace gdprnn
