// What is heard of voices, and the likelihoods against the densities they are made of.
#include "voiceprint.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "failure.h"

namespace gdprnn {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kPersonVariance = 0.12;
const double kPi = std::acos(-1.0);

MatrixXd Normal(Index rows, Index columns, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  return MatrixXd::NullaryExpr(rows, columns, [&](Index, Index) { return normal(random); });
}

double LogDensity(const VectorXd& x, const VectorXd& mean, double variance) {
  const auto size = static_cast<double>(x.size());
  return -0.5 * (size * std::log(2 * kPi * variance) + (x - mean).squaredNorm() / variance);
}

// Of voices of one person, after her mean has been summed over: one after the other, each given those before.
double LogEvidence(const std::vector<VectorXd>& means, const std::vector<double>& precisions) {
  double total = 0.0;
  double precision = 1 / kPersonVariance;
  VectorXd weighted = VectorXd::Zero(means[0].size());
  for (size_t voice = 0; voice < means.size(); ++voice) {
    total += LogDensity(means[voice], weighted / precision, 1 / precision + 1 / precisions[voice]);
    precision += precisions[voice];
    weighted += precisions[voice] * means[voice];
  }
  return total;
}

Tracks TwoOfNoise(Index num_samples) { return 0.1F * Normal(2, num_samples, 7).cast<float>(); }

}  // namespace

TEST_CASE("the likelihood ratios are those of the densities") {
  const Voices known{Eigen::Vector2d(3.0, 9.0), Normal(2, 5, 0)};
  const Voices heard{Eigen::Vector2d(4.0, 0.5), Normal(2, 5, 1)};
  SpeakerModel model = SpeakerModel::Like(known);
  model.Add(known);
  const MatrixXd ratios = model.LogLikelihoodRatios(heard);
  for (Index speaker = 0; speaker < 2; ++speaker) {
    for (Index voice = 0; voice < 2; ++voice) {
      const VectorXd before = known.means.row(speaker), now = heard.means.row(voice);
      const double together = LogEvidence({before, now}, {known.precisions(speaker), heard.precisions(voice)});
      const double apart = LogEvidence({before}, {known.precisions(speaker)}) +
                           LogEvidence({now}, {heard.precisions(voice)});
      CHECK(ratios(speaker, voice) == doctest::Approx(together - apart));
    }
  }
}

TEST_CASE("who is unheard says nothing") {
  const Voices known{Eigen::Vector2d(3.0, 0.0), Normal(2, 5, 0)};
  SpeakerModel model = SpeakerModel::Like(known);
  model.Add(known);
  const MatrixXd ratios = model.LogLikelihoodRatios({Eigen::Vector2d(0.0, 2.0), Normal(2, 5, 1)});
  CHECK(ratios.col(0) == VectorXd::Zero(2));
  CHECK(ratios(0, 1) != 0.0);
  CHECK(ratios(1, 1) == doctest::Approx(0.0));
}

TEST_CASE("what was added can be removed") {
  const Voices first{Eigen::Vector2d(3.0, 1.0), Normal(2, 5, 0)}, second{Eigen::Vector2d(2.0, 5.0), Normal(2, 5, 1)};
  SpeakerModel model = SpeakerModel::Like(first);
  model.Add(first);
  const SpeakerModel before = model;
  model.Add(second);
  CHECK((model.weighted - before.weighted).norm() > 1);
  model.Remove(second);
  CHECK((model.weighted - before.weighted).norm() < 1e-12);
  CHECK((model.precisions - before.precisions).norm() < 1e-12);
}

TEST_CASE("the joint likelihoods differ as the densities do") {
  const Voices past{Eigen::Vector2d(3.0, 9.0), Normal(2, 5, 2)}, future{Eigen::Vector2d(4.0, 0.5), Normal(2, 5, 3)};
  SpeakerModel before = SpeakerModel::Like(past), after = SpeakerModel::Like(future);
  before.Add(past);
  after.Add(future);
  const MatrixXd joint = before.JointLogLikelihoods(after);
  const auto pair = [&](Index one, Index other) {
    return LogEvidence({past.means.row(one), future.means.row(other)},
                       {past.precisions(one), future.precisions(other)});
  };
  const double expected = pair(0, 0) + pair(1, 1) - pair(0, 1) - pair(1, 0);
  CHECK(joint(0, 0) + joint(1, 1) - joint(0, 1) - joint(1, 0) == doctest::Approx(expected));
}

TEST_CASE("voices in another order") {
  const Voices voices{Eigen::Vector3d(1, 2, 3), Normal(3, 2, 0)};
  const Voices ordered = voices.Of({2, 0, 1});
  CHECK(ordered.precisions == Eigen::Vector3d(3, 1, 2));
  CHECK(ordered.means.row(0) == voices.means.row(2));
}

TEST_CASE("a frame counts for the tracks that are loud in it, where the mixture is") {
  Tracks tracks = TwoOfNoise(16'000);
  tracks.row(1).tail(8000) *= 0.5F;  // a quarter of the power: the other's
  Eigen::RowVectorXf mixture = tracks.colwise().sum();
  mixture.head(4000).setZero();
  tracks.row(0).head(4000) *= 100.0F;  // what is heard where nobody talks is no voice
  Listener listener(8000, 0.01);
  const Voices voices = listener.Hear(mixture.data(), tracks);
  // Of the frames of 512 samples, 128 apart, those that end after 4000, or in which 8000 is late enough.
  const auto frames = [](double precision) { return 10 * precision / (1 - 0.02 * precision); };
  CHECK(frames(voices.precisions(0)) == doctest::Approx(122 - 28).epsilon(0.01));
  CHECK(frames(voices.precisions(1)) == doctest::Approx(61 - 31).epsilon(0.1));
}

TEST_CASE("what is shorter than a frame, or silent, is not heard") {
  const Tracks tracks = TwoOfNoise(511);
  Listener listener(8000, 0.01);
  const std::vector<Voices> heard = {
      listener.Hear(tracks.data(), tracks),
      listener.Hear(std::vector<float>(8000, 0.0F).data(), TwoOfNoise(8000)),
      listener.Hear(TwoOfNoise(8000).data(), Tracks::Zero(2, 8000)),
  };
  for (const Voices& voices : listener.Comparable(heard)) {
    CHECK(voices.precisions == VectorXd::Zero(2));
    CHECK(voices.means.allFinite());
  }
}

TEST_CASE("levels and signs are no part of a voice") {
  const Tracks tracks = TwoOfNoise(8000);
  Listener listener(8000, 0.01);
  const Voices first = listener.Hear(tracks.data(), tracks);
  const Voices second = listener.Hear(tracks.data(), Tracks(-3.0F * tracks));
  CHECK((first.means - second.means).cwiseAbs().maxCoeff() < 1e-5);
}

TEST_CASE("what is comparable has the frames' covariance") {
  Listener listener(8000, 0.01);
  const Tracks tracks = TwoOfNoise(4'000'000);
  const Voices all = listener.Hear(tracks.data(), tracks);
  std::vector<Voices> single;  // of a frame each
  for (Index at = 0; at + 512 <= 400'000; at += 512) {
    Listener other(8000, 0.0);
    single.push_back(other.Hear(tracks.data() + at, tracks.middleCols(at, 512)));
  }
  MatrixXd covariance = MatrixXd::Zero(all.means.cols(), all.means.cols());
  VectorXd mean = VectorXd::Zero(all.means.cols());
  double count = 0.0;
  for (const Voices& voices : listener.Comparable(single)) {
    for (Index track = 0; track < 2; ++track) {
      if (voices.precisions(track) == 0.0) continue;
      const VectorXd feature = voices.means.row(track);
      covariance += feature * feature.transpose();
      mean += feature;
      count += 1;
    }
  }
  CHECK((mean / count).cwiseAbs().maxCoeff() < 0.2);
  CHECK((covariance / count).diagonal().mean() == doctest::Approx(1.0).epsilon(0.1));
}

TEST_CASE("bands are triangles side by side") {
  const MatrixXd bands = MelBands(16'000, 1024);
  CHECK(bands.rows() == 30);
  CHECK(bands.cols() == 513);
  CHECK(bands.minCoeff() == 0.0);
  CHECK(bands.maxCoeff() <= 1.0);
  const VectorXd total = bands.colwise().sum();
  for (Index bin = 10; bin <= 220; ++bin) CHECK(total(bin) == doctest::Approx(1.0));  // 156 to 3437 Hz
  for (Index bin = 244; bin < 513; ++bin) CHECK(total(bin) == 0.0);                   // from 3812 Hz on
}

TEST_CASE("a rate at which nobody is heard is refused") {
  CHECK_THROWS_AS(Listener(40, 0.01), Failure);
  CHECK_THROWS_AS(Listener(1, 0.01), Failure);
}

}  // namespace gdprnn
