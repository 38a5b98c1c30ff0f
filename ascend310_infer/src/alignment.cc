#include "alignment.h"

#include <algorithm>
#include <cmath>

#include "order_search.h"

namespace gdprnn {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kQuiet = 0.01;     // of the mean power of all tracks together: overlaps below say little
constexpr double kSameSign = 0.5;   // correlation of two versions of a track from which on their signs are compared
constexpr double kNothing = 1e-30;  // energy, where there is none to divide by

}  // namespace

MatrixXd Overlap::Correlations(double mean_power) const {
  const MatrixXd norms = (energies_before * energies.transpose()).array().sqrt();
  const double quiet = kQuiet * mean_power * static_cast<double>(num_samples);
  return products.array() / (norms.array() + quiet + kNothing);
}

// Minimizing the squared difference of the two versions is maximizing this. Inner products, and not correlations:
// where one person talks, all tracks hold her voice, and only the levels tell which is hers.
MatrixXd Overlap::Agreement(double mean_power) const {
  const double energy = 0.5 * (energies_before.sum() + energies.sum());
  const double quiet = kQuiet * mean_power * static_cast<double>(num_samples);
  return products.cwiseAbs() / (energy + quiet + kNothing);
}

Overlap Compare(const TracksView& before, const TracksView& tracks) {
  const MatrixXd first = before.cast<double>();
  const MatrixXd second = tracks.leftCols(before.cols()).cast<double>();
  return {first * second.transpose(), first.rowwise().squaredNorm(), second.rowwise().squaredNorm(), before.cols()};
}

void Aligner::Add(int64_t start, const float* mixture, const TracksView& tracks, int64_t use_start, int64_t use_stop) {
  if (!voices_.empty()) {
    const int64_t shared = start_before_ + before_.cols() - start;
    overlaps_.push_back(Compare(before_.rightCols(shared), tracks));
  }
  start_before_ = start;
  before_ = tracks;
  const TracksView used = tracks.middleCols(use_start, use_stop - use_start);
  voices_.push_back(listener_.Hear(mixture + use_start, used));
  energy_ += used.cast<double>().squaredNorm();
  num_samples_ += use_stop - use_start;
}

Alignment Aligner::Result() const {
  const Evidence evidence = Gathered();
  const std::vector<Order> orders = Search(evidence.agreements, evidence.voices);
  return {orders, FindSigns(orders, overlaps_, MeanPower())};
}

Evidence Aligner::Gathered() const {
  std::vector<MatrixXd> agreements;
  for (const Overlap& overlap : overlaps_) agreements.push_back(overlap.Agreement(MeanPower()));
  return {agreements, listener_.Comparable(voices_)};
}

double Aligner::MeanPower() const {
  return energy_ / static_cast<double>(std::max<int64_t>(num_samples_, 1));
}

std::vector<Signs> FindSigns(const std::vector<Order>& orders, const std::vector<Overlap>& overlaps,
                             double mean_power) {
  std::vector<Signs> signs = {Signs(orders.front().size(), 1.0F)};
  for (size_t chunk = 1; chunk < orders.size(); ++chunk) {
    const MatrixXd correlations = overlaps[chunk - 1].Correlations(mean_power);
    Signs next = signs.back();
    for (size_t track = 0; track < next.size(); ++track) {
      if (correlations(orders[chunk - 1][track], orders[chunk][track]) < -kSameSign) next[track] = -next[track];
    }
    signs.push_back(next);
  }
  return signs;
}

}  // namespace gdprnn
