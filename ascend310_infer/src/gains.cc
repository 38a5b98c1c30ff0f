#include "gains.h"

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <Eigen/QR>
#include <algorithm>

#include "failure.h"

namespace gdprnn {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using Places = std::vector<Index>;

constexpr double kSignRidge = 0.1;     // of a track's power
constexpr double kGainRidge = 1e-6;    // of a track's power: what differs by less than -60 dB counts as equal
constexpr double kSmallestPart = 0.1;  // of the gain that a track would get if it were the only one

MatrixXd WithRidge(const MatrixXd& products, double ridge) {
  return products + ridge * MatrixXd::Identity(products.rows(), products.cols());
}

// Minimizes |A x - b| over x >= 0, for a regular A, by the active set method of Lawson & Hanson (1974), "Solving Least
// Squares Problems", chapter 23.
class NonNegativeLeastSquares {
 public:
  NonNegativeLeastSquares(const MatrixXd& matrix, const VectorXd& goal)
      : matrix_(matrix), goal_(goal), solution_(VectorXd::Zero(matrix.cols())) {}

  VectorXd Solve() {
    const Index most_rounds = 3 * matrix_.cols();  // rounding must not keep it going
    for (Index round = 0; round < most_rounds && FreeOne(); ++round) {
      for (VectorXd wanted = Unbounded(); !IsPositive(wanted); wanted = Unbounded()) BindOnTheWayTo(wanted);
      solution_ = Unbounded();
    }
    return solution_;
  }

 private:
  // Frees the bound unknown that lowers the error most. Returns false where none does.
  bool FreeOne() {
    VectorXd slopes = matrix_.transpose() * (goal_ - matrix_ * solution_);
    for (const Index place : free_) slopes(place) = 0.0;
    for (Index place = 0; slopes.maxCoeff(&place) > 0; slopes(place) = 0.0) {
      free_.push_back(place);
      if (Unbounded()(place) > 0) return true;
      free_.pop_back();  // its slope was rounding
    }
    return false;
  }

  // The least squares solution of the free unknowns, the others 0.
  VectorXd Unbounded() const {
    VectorXd result = VectorXd::Zero(solution_.size());
    if (!free_.empty()) result(free_) = MatrixXd(matrix_(Eigen::all, free_)).householderQr().solve(goal_);
    return result;
  }

  bool IsPositive(const VectorXd& wanted) const {
    return std::all_of(free_.begin(), free_.end(), [&](Index place) { return wanted(place) > 0; });
  }

  // Goes towards what is wanted until the first unknown gets 0, and binds it.
  void BindOnTheWayTo(const VectorXd& wanted) {
    double share = 1.0;
    Index first = 0;
    for (const Index place : free_) {
      if (wanted(place) > 0) continue;
      const double now = solution_(place);
      const double until_zero = now > 0 ? now / (now - wanted(place)) : 0.0;
      if (until_zero <= share) {
        share = until_zero;
        first = place;
      }
    }
    solution_ += share * (wanted - solution_);
    solution_(first) = 0.0;
    free_.erase(std::remove(free_.begin(), free_.end(), first), free_.end());
  }

  const MatrixXd& matrix_;
  const VectorXd& goal_;
  VectorXd solution_;
  Places free_;  // the unknowns that are above 0
};

// Minimizes a'Ga - 2a'b over a >= smallest, for products G [C, C], with a ridge, and targets b [C].
VectorXd BoundedLeastSquares(const MatrixXd& products, const VectorXd& targets, const VectorXd& smallest) {
  const Eigen::LLT<MatrixXd> factor(WithRidge(products, kGainRidge));  // G = F F', so it is |F'a - F^-1 b|^2
  const MatrixXd matrix = factor.matrixU();
  const VectorXd goal = factor.matrixL().solve(targets) - matrix * smallest;
  return smallest + NonNegativeLeastSquares(matrix, goal).Solve();
}

// Of tracks none of which is silent.
VectorXd GainsOfHeard(const MatrixXd& track_products, const VectorXd& mixture_products) {
  const VectorXd unit = track_products.diagonal().cwiseSqrt();
  const MatrixXd alikeness = track_products.cwiseQuotient(unit * unit.transpose());  // ones on the diagonal
  const VectorXd fit = mixture_products.cwiseQuotient(unit);
  const VectorXd ridge_gains = WithRidge(alikeness, kSignRidge).partialPivLu().solve(fit);
  const VectorXd signs = ridge_gains.unaryExpr([](double gain) { return gain < 0 ? -1.0 : 1.0; });
  const VectorXd smallest = kSmallestPart * fit.cwiseAbs();
  const MatrixXd upright = alikeness.cwiseProduct(signs * signs.transpose());
  const VectorXd sizes = BoundedLeastSquares(upright, signs.cwiseProduct(fit), smallest);
  return signs.cwiseProduct(sizes).cwiseQuotient(unit);
}

}  // namespace

std::vector<double> GainsFromProducts(const MatrixXd& track_products, const VectorXd& mixture_products) {
  if (!track_products.allFinite() || !mixture_products.allFinite()) {
    throw Failure(kInference, "the tracks have no gains: found NaN or infinite samples, expected numbers");
  }
  Places heard;
  for (Index track = 0; track < track_products.rows(); ++track) {
    if (track_products(track, track) > 0) heard.push_back(track);
  }
  std::vector<double> gains(static_cast<size_t>(track_products.rows()), 0.0);
  if (heard.empty()) return gains;
  const VectorXd of_heard = GainsOfHeard(track_products(heard, heard), mixture_products(heard));
  for (size_t place = 0; place < heard.size(); ++place) {
    gains[static_cast<size_t>(heard[place])] = of_heard(static_cast<Index>(place));
  }
  return gains;
}

}  // namespace gdprnn
