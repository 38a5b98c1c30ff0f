#include "voiceprint.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <string>

#include "failure.h"

namespace gdprnn {
namespace {

using Eigen::ArrayXd;
using Eigen::ArrayXXd;
using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kFrameSeconds = 0.064, kHopSeconds = 0.016;
constexpr Index kNumBands = 30;
constexpr double kLowestHz = 80.0, kHighestHz = 3800.0;
constexpr double kBandFloor = 1e-5;  // of a frame's power: what is 50 dB below says nothing
constexpr double kQuiet = 0.01;      // of the recording's mean power: frames below are no speech
constexpr double kLeastShare = 0.5;  // power of a track, against the loudest other, where it counts as its own person's

constexpr double kFramesOfOne = 10.0;  // neighbouring frames resemble each other: so many say as much as one alone
constexpr double kPersonVariance = 0.12;
constexpr double kSessionVariance = 0.02;
constexpr double kPriorFrames = 200;  // weight of a diagonal covariance against the recording's own frames

// Rounds a half to the even number, as Python does.
Index RoundedSamples(double seconds, int sample_rate) {
  return static_cast<Index>(std::nearbyint(seconds * sample_rate));
}

double Mel(double hertz) { return 2595 * std::log10(1 + hertz / 700); }

// The corners of the bands, each shared by three of them.
ArrayXd BandEdges(int sample_rate) {
  const double low = Mel(kLowestHz);
  const double high = Mel(std::min(kHighestHz, 0.475 * sample_rate));
  const double step = (high - low) / (kNumBands + 1);
  ArrayXd edges(kNumBands + 2);
  for (Index edge = 0; edge < edges.size(); ++edge) {
    const double mel = edge == kNumBands + 1 ? high : low + static_cast<double>(edge) * step;
    edges(edge) = 700 * (std::pow(10.0, mel / 2595) - 1);
  }
  return edges;
}

// DCT-II, orthonormal, without its constant: [bands - 1, bands].
MatrixXd Cosines(Index num_bands) {
  const double pi = std::acos(-1.0);
  const auto count = static_cast<double>(num_bands);
  MatrixXd cosines(num_bands - 1, num_bands);
  for (Index row = 0; row < cosines.rows(); ++row) {
    for (Index band = 0; band < num_bands; ++band) {
      const auto quarters = static_cast<double>((row + 1) * (2 * band + 1));
      cosines(row, band) = std::sqrt(2 / count) * std::cos(pi * quarters / (2 * count));
    }
  }
  return cosines;
}

double Precision(Index num_frames) {
  const double independent = static_cast<double>(num_frames) / kFramesOfOne;
  return independent / (1 + kSessionVariance * independent);
}

double LoudestOther(const Eigen::RowVectorXd& powers, Index track) {
  double loudest = 0.0;
  for (Index other = 0; other < powers.size(); ++other) {
    if (other != track) loudest = std::max(loudest, powers(other));
  }
  return loudest;
}

// Raises Failure(kModel) where the rate is so low that no voice is heard.
MatrixXd CheckedBands(int sample_rate, Index frame) {
  MatrixXd bands = MelBands(sample_rate, frame);
  if (bands.rows() >= 2) return bands;
  throw Failure(kModel, "found a network for " + std::to_string(sample_rate) + " Hz, expected one that hears voices");
}

MatrixXd Weighted(const Voices& voices) { return voices.precisions.asDiagonal() * voices.means; }

}  // namespace

Voices Voices::Of(const Order& order) const { return {precisions(order), means(order, Eigen::all)}; }

MatrixXd MelBands(int sample_rate, Index frame) {
  const ArrayXd edges = BandEdges(sample_rate);
  MatrixXd bands(kNumBands, frame / 2 + 1);
  Index kept = 0;
  for (Index band = 0; band < kNumBands; ++band) {
    const double low = edges(band), middle = edges(band + 1), high = edges(band + 2);
    for (Index bin = 0; bin < bands.cols(); ++bin) {
      const double hertz = static_cast<double>(bin * sample_rate) / static_cast<double>(frame);
      const double height = std::min((hertz - low) / (middle - low), (high - hertz) / (high - middle));
      bands(kept, bin) = std::max(height, 0.0);
    }
    if (bands.row(kept).sum() > 0) ++kept;
  }
  return bands.topRows(kept);
}

Listener::Listener(int sample_rate, double mean_power)
    : frame_(RoundedSamples(kFrameSeconds, sample_rate)),
      hop_(RoundedSamples(kHopSeconds, sample_rate)),
      spectrum_(frame_),
      bands_(CheckedBands(sample_rate, frame_)),
      cosines_(Cosines(bands_.rows())),
      least_power_(kQuiet * mean_power),
      scatter_(MatrixXd::Zero(cosines_.rows(), cosines_.rows())),
      sum_(VectorXd::Zero(cosines_.rows())) {}

Voices Listener::Hear(const float* mixture, const TracksView& tracks) {
  const std::vector<MatrixXd> heard = HeardFrames(mixture, tracks);
  Voices voices{VectorXd(tracks.rows()), MatrixXd::Zero(tracks.rows(), sum_.size())};
  for (Index track = 0; track < tracks.rows(); ++track) {
    const MatrixXd& features = heard[static_cast<size_t>(track)];
    voices.precisions(track) = Precision(features.cols());
    if (features.cols() == 0) continue;
    const VectorXd mean = features.rowwise().mean();
    voices.means.row(track) = mean;
    Learn(features, mean);
  }
  return voices;
}

// Of every track the features of the frames that are its own, [D, F].
std::vector<MatrixXd> Listener::HeardFrames(const float* mixture, const TracksView& tracks) {
  const Index num_frames = tracks.cols() < frame_ ? 0 : (tracks.cols() - frame_) / hop_ + 1;
  std::vector<MatrixXd> heard(static_cast<size_t>(tracks.rows()), MatrixXd(sum_.size(), num_frames));
  std::vector<Index> counts(heard.size(), 0);
  MatrixXd spectra(spectrum_.num_bins(), tracks.rows());
  for (Index at = 0; at < num_frames * hop_; at += hop_) {
    if (!IsSpeech(mixture + at)) continue;
    for (Index track = 0; track < tracks.rows(); ++track) {
      spectrum_(tracks.row(track).data() + at, spectra.col(track).data());
    }
    const Eigen::RowVectorXd powers = spectra.colwise().sum();
    for (Index track = 0; track < tracks.rows(); ++track) {
      if (!(powers(track) > kLeastShare * LoudestOther(powers, track))) continue;
      const auto place = static_cast<size_t>(track);
      heard[place].col(counts[place]++) = Features(spectra.col(track));
    }
  }
  for (size_t track = 0; track < heard.size(); ++track) {
    heard[track].conservativeResize(Eigen::NoChange, counts[track]);
  }
  return heard;
}

bool Listener::IsSpeech(const float* frame) const {
  return Eigen::Map<const Eigen::ArrayXf>(frame, frame_).cast<double>().square().mean() > least_power_;
}

// [D], from the powers [bins] of a frame.
VectorXd Listener::Features(const VectorXd& powers) const {
  const ArrayXd bands = (bands_ * powers).array() + kBandFloor * powers.sum() + 1e-30;
  return cosines_ * bands.log().matrix();
}

void Listener::Learn(const MatrixXd& features, const VectorXd& mean) {
  const MatrixXd centered = features.colwise() - mean;
  scatter_ += centered * centered.transpose();
  freedom_ += features.cols() - 1;
  sum_ += features.rowwise().sum();
  count_ += features.cols();
}

std::vector<Voices> Listener::Comparable(std::vector<Voices> voices) const {
  const auto freedom = static_cast<double>(freedom_);
  const VectorXd variances = scatter_.diagonal().array() / std::max(freedom, 1.0) + 1e-6;
  const MatrixXd prior = kPriorFrames * MatrixXd(variances.asDiagonal());
  const Eigen::LLT<MatrixXd> factor((scatter_ + prior) / (freedom + kPriorFrames));
  const VectorXd center = sum_ / std::max(static_cast<double>(count_), 1.0);
  for (Voices& voice : voices) {
    const MatrixXd centered = voice.means.transpose().colwise() - center;  // [D, C]
    voice.means = factor.matrixL().solve(centered).transpose();
  }
  return voices;
}

SpeakerModel SpeakerModel::Like(const Voices& voices) {
  return {VectorXd::Zero(voices.precisions.size()), MatrixXd::Zero(voices.means.rows(), voices.means.cols())};
}

void SpeakerModel::Add(const Voices& voices) {
  precisions += voices.precisions;
  weighted += Weighted(voices);
}

void SpeakerModel::Remove(const Voices& voices) {
  precisions -= voices.precisions;
  weighted -= Weighted(voices);
}

// For a mean x of precision p in D dimensions, and a speaker's weighted sum s of precision q:
// log N(x; v s, v + 1/p) - log N(x; 0, kPersonVariance + 1/p), with v = 1 / (q + 1 / kPersonVariance).
MatrixXd SpeakerModel::LogLikelihoodRatios(const Voices& voices) const {
  const Index count = precisions.size();
  const auto size = static_cast<double>(weighted.cols());
  MatrixXd ratios = MatrixXd::Zero(count, count);
  for (Index speaker = 0; speaker < count; ++speaker) {
    const double known = 1 / (std::max(precisions(speaker), 0.0) + 1 / kPersonVariance);  // v
    const Eigen::RowVectorXd expected = known * weighted.row(speaker);
    for (Index voice = 0; voice < count; ++voice) {
      if (!(voices.precisions(voice) > 0)) continue;
      const double noise = 1 / voices.precisions(voice);  // variance of x
      const double spread = known + noise;
      const double wide = kPersonVariance + noise;
      const double distance = (voices.means.row(voice) - expected).squaredNorm();
      const double length = voices.means.row(voice).squaredNorm();
      ratios(speaker, voice) = 0.5 * (size * std::log(wide / spread) - distance / spread + length / wide);
    }
  }
  return ratios;
}

// For a person's weighted sum s of precision q in D dimensions, the integral over her mean is
// v |s|^2 / 2 - D log(1 + kPersonVariance q) / 2, with v = 1 / (q + 1 / kPersonVariance), but for a term that is the
// same whoever the voices are ascribed to.
MatrixXd SpeakerModel::JointLogLikelihoods(const SpeakerModel& other) const {
  const Index count = precisions.size();
  const auto size = static_cast<double>(weighted.cols());
  const ArrayXXd sums = precisions.replicate(1, count) + other.precisions.transpose().replicate(count, 1);  // q
  const MatrixXd products = weighted * other.weighted.transpose();
  const ArrayXXd squares = weighted.rowwise().squaredNorm().replicate(1, count) + 2 * products +
                           other.weighted.rowwise().squaredNorm().transpose().replicate(count, 1);
  return 0.5 * (squares / (sums + 1 / kPersonVariance) - size * (kPersonVariance * sums).log1p());
}

}  // namespace gdprnn
