// The gain rule in closed form.
#include "gains.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "failure.h"

namespace gdprnn {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

MatrixXd Noise(Eigen::Index count, unsigned seed, Eigen::Index num_samples = 4000) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0.0, 0.1);
  return MatrixXd::NullaryExpr(count, num_samples, [&](Eigen::Index, Eigen::Index) { return normal(random); });
}

// The gains of tracks [C, T] for a mixture [T].
VectorXd Fit(const MatrixXd& tracks, const VectorXd& mixture) {
  const std::vector<double> gains = GainsFromProducts(tracks * tracks.transpose(), tracks * mixture);
  return Eigen::Map<const VectorXd>(gains.data(), tracks.rows());
}

VectorXd Sum(const MatrixXd& sources) { return sources.colwise().sum(); }

double LargestError(const VectorXd& found, const VectorXd& expected) {
  return (found - expected).cwiseAbs().maxCoeff();
}

}  // namespace

TEST_CASE("true sources come back from any gain and sign") {
  const MatrixXd sources = Noise(3, 0);
  for (int signs = 0; signs < 8; ++signs) {
    VectorXd scales(3);
    scales << 0.001, 40.0, 1.0;
    for (int track = 0; track < 3; ++track) scales(track) *= (signs >> track) % 2 == 0 ? 1 : -1;
    const VectorXd gains = Fit(scales.asDiagonal() * sources, Sum(sources));
    CHECK(LargestError(gains.cwiseProduct(scales), VectorXd::Ones(3)) < 1e-5);
  }
}

TEST_CASE("equal tracks share the mixture evenly") {
  const VectorXd mixture = Noise(1, 1).row(0);
  VectorXd scales(3);
  scales << 1.0, -2.0, 5.0;
  const VectorXd gains = Fit(scales * mixture.transpose(), mixture);
  CHECK(LargestError(gains.cwiseProduct(scales), VectorXd::Constant(3, 1.0 / 3)) < 1e-6);
}

TEST_CASE("a track that is the mixture does not mute the other") {
  const MatrixXd sources = Noise(2, 2);
  const VectorXd mixture = Sum(sources);
  for (const double scale : {2.0, -2.0}) {
    MatrixXd tracks(2, sources.cols());
    tracks << mixture.transpose(), scale * sources.row(0);
    const VectorXd gains = Fit(tracks, mixture);
    const double alone = sources.row(0).dot(mixture) / sources.row(0).squaredNorm();
    CHECK(gains(1) * scale == doctest::Approx(0.1 * alone).epsilon(1e-6));
    CHECK(gains(0) == doctest::Approx(1.0).epsilon(0.1));
  }
}

TEST_CASE("silence gets no gain") {
  MatrixXd tracks = Noise(2, 3);
  const VectorXd mixture = -0.5 * tracks.row(1);
  tracks.row(0).setZero();
  CHECK(Fit(tracks, mixture)(0) == 0.0);
  CHECK(Fit(tracks, mixture)(1) == doctest::Approx(-0.5).epsilon(1e-5));
  CHECK(Fit(tracks, VectorXd::Zero(mixture.size())) == VectorXd::Zero(2));
  CHECK(Fit(MatrixXd::Zero(2, mixture.size()), mixture) == VectorXd::Zero(2));
}

// The conditions of Karush, Kuhn and Tucker, which hold at the minimum and nowhere else.
TEST_CASE("the gains fit best of all that keep their signs and least sizes") {
  for (unsigned seed = 0; seed < 200; ++seed) {
    const Eigen::Index count = 2 + seed % 9;
    const MatrixXd tracks = Noise(count, 2 * seed, count) * Noise(count, 2 * seed + 1, 50);  // any mixtures
    const VectorXd mixture = Noise(1, seed + 1000, 50).row(0);
    const VectorXd units = tracks.rowwise().norm().cwiseInverse();
    const MatrixXd unit = units.asDiagonal() * tracks;
    const VectorXd sizes = Fit(tracks, mixture).cwiseQuotient(units);
    const VectorXd least = 0.1 * (unit * mixture).cwiseAbs();
    const VectorXd slopes = unit * (mixture - unit.transpose() * sizes) - 1e-6 * sizes;
    for (Eigen::Index track = 0; track < count; ++track) {
      CAPTURE(seed);
      const double outwards = sizes(track) < 0 ? -slopes(track) : slopes(track);
      CHECK(std::abs(sizes(track)) >= least(track) * (1 - 1e-12));
      CHECK(outwards < 1e-12);                                                       // none would gain by growing
      if (std::abs(sizes(track)) > 1.0001 * least(track)) CHECK(outwards > -1e-12);  // nor, where it may, by shrinking
    }
  }
}

TEST_CASE("what is no number is refused") {
  MatrixXd products = MatrixXd::Identity(2, 2);
  CHECK_THROWS_AS(GainsFromProducts(products, VectorXd::Constant(2, HUGE_VAL)), Failure);
  products(0, 1) = std::nan("");
  CHECK_THROWS_AS(GainsFromProducts(products, VectorXd::Ones(2)), Failure);
}

}  // namespace gdprnn
