#include "assignment.h"

#include <limits>
#include <numeric>
#include <utility>

#include "failure.h"

namespace gdprnn {
namespace {

constexpr int kNone = -1;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The rows so far have their columns; each new one takes the cheapest way to a free column, on which other rows may
// have to move on to another. What is reduced by the prices of rows and columns never gets negative.
class Assigner {
 public:
  explicit Assigner(const Eigen::MatrixXd& costs)
      : costs_(costs),
        size_(static_cast<int>(costs.rows())),
        row_prices_(Eigen::VectorXd::Zero(size_)),
        column_prices_(Eigen::VectorXd::Zero(size_)),
        column_of_(static_cast<size_t>(size_), kNone),
        row_of_(static_cast<size_t>(size_), kNone) {}

  Order Assign() {
    for (int row = 0; row < size_; ++row) {
      const int column = FindWay(row);
      RaisePrices(row);
      MoveAlong(row, column);
    }
    return column_of_;
  }

 private:
  static size_t At(int place) { return static_cast<size_t>(place); }

  // Shortest distances from a row to the columns, as far as the first free one, which is returned.
  int FindWay(int from) {
    distances_.assign(At(size_), kInfinity);
    came_from_.assign(At(size_), kNone);
    seen_rows_.clear();
    seen_columns_.clear();
    // From the last to the first: so equal columns are taken in their own order, for a place that gets free below is
    // filled with the last column of the list.
    std::vector<int> open(At(size_));
    std::iota(open.rbegin(), open.rend(), 0);
    distance_ = 0.0;
    for (int row = from;;) {
      seen_rows_.push_back(row);
      const size_t place = Nearest(row, open);
      const int column = open[place];
      distance_ = distances_[At(column)];
      seen_columns_.push_back(column);
      open[place] = open.back();
      open.pop_back();
      if (row_of_[At(column)] == kNone) return column;
      row = row_of_[At(column)];
    }
  }

  // The place in `open` of the column that is nearest, now that it can be reached from `row` too; of equally near ones
  // the last free one, or the first where none is free.
  size_t Nearest(int row, const std::vector<int>& open) {
    size_t nearest = 0;
    double least = kInfinity;
    for (size_t place = 0; place < open.size(); ++place) {
      const int column = open[place];
      const double distance = distance_ + costs_(row, column) - row_prices_(row) - column_prices_(column);
      double& shortest = distances_[At(column)];
      if (distance < shortest) {
        shortest = distance;
        came_from_[At(column)] = row;
      }
      const bool is_free = row_of_[At(column)] == kNone;
      if (shortest < least || (shortest == least && is_free)) {
        least = shortest;
        nearest = place;
      }
    }
    return nearest;
  }

  void RaisePrices(int from) {
    row_prices_(from) += distance_;
    for (const int row : seen_rows_) {
      if (row != from) row_prices_(row) += distance_ - distances_[At(column_of_[At(row)])];
    }
    for (const int column : seen_columns_) column_prices_(column) -= distance_ - distances_[At(column)];
  }

  void MoveAlong(int from, int column) {
    for (int row = kNone; row != from;) {
      row = came_from_[At(column)];
      row_of_[At(column)] = row;
      std::swap(column_of_[At(row)], column);
    }
  }

  const Eigen::MatrixXd& costs_;
  int size_;
  Eigen::VectorXd row_prices_;
  Eigen::VectorXd column_prices_;
  Order column_of_;  // of each row
  Order row_of_;     // of each column
  // Of the way that was found last:
  double distance_ = 0.0;          // its length
  std::vector<double> distances_;  // of the columns from its row
  Order came_from_;                // the row before each column
  Order seen_rows_;
  Order seen_columns_;
};

}  // namespace

Order Identity(int count) {
  Order order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

Order AssignMost(const Eigen::MatrixXd& scores) {
  if (!scores.allFinite()) throw Failure(kInference, "the tracks cannot be compared: found NaN or infinite samples");
  const Eigen::MatrixXd costs = -scores;
  return Assigner(costs).Assign();
}

}  // namespace gdprnn
