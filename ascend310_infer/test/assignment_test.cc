// Assignments against all orders; tests/infer310/test_cpp_stitching.py compares ties with SciPy's.
#include "assignment.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "failure.h"

namespace gdprnn {
namespace {

double Total(const Eigen::MatrixXd& scores, const Order& order) {
  double total = 0.0;
  for (size_t row = 0; row < order.size(); ++row) total += scores(static_cast<Eigen::Index>(row), order[row]);
  return total;
}

double MostOfAllOrders(const Eigen::MatrixXd& scores) {
  Order order = Identity(static_cast<int>(scores.rows()));
  double most = Total(scores, order);
  while (std::next_permutation(order.begin(), order.end())) most = std::max(most, Total(scores, order));
  return most;
}

}  // namespace

TEST_CASE("no order has a larger sum, and every column is taken once") {
  std::mt19937 random(0);
  std::normal_distribution<double> normal;
  std::uniform_int_distribution<int> few(-1, 1);
  for (int size = 1; size <= 7; ++size) {
    for (int attempt = 0; attempt < 40; ++attempt) {
      const bool whole = attempt % 2 == 0;
      const Eigen::MatrixXd scores = Eigen::MatrixXd::NullaryExpr(size, size, [&](Eigen::Index, Eigen::Index) {
        return whole ? static_cast<double>(few(random)) : normal(random);
      });
      Order order = AssignMost(scores);
      CHECK(Total(scores, order) == doctest::Approx(MostOfAllOrders(scores)));
      std::sort(order.begin(), order.end());
      CHECK(order == Identity(size));
    }
  }
}

TEST_CASE("where all are equal everything stays") {
  for (const double value : {0.0, -3.0, 0.1}) {
    for (int size = 1; size <= 10; ++size) {
      CHECK(AssignMost(Eigen::MatrixXd::Constant(size, size, value)) == Identity(size));
    }
  }
}

TEST_CASE("what is no number is refused") {
  Eigen::MatrixXd scores = Eigen::MatrixXd::Zero(2, 2);
  for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    scores(1, 0) = value;
    CHECK_THROWS_AS(AssignMost(scores), Failure);
  }
}

}  // namespace gdprnn
