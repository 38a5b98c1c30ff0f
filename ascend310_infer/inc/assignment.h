// The linear sum assignment problem.
#ifndef GDPRNN_ASSIGNMENT_H_
#define GDPRNN_ASSIGNMENT_H_

#include <Eigen/Core>
#include <vector>

namespace gdprnn {

// [C]: place c of the result is taken from place order[c].
using Order = std::vector<int>;

// 0, 1, …, count - 1.
Order Identity(int count);

// The column of every row, each its own, so that the sum of their scores is the largest.
//
// `scores` is [C, C] and finite, else Failure(kInference) is raised. The method is that of shortest augmenting paths
// (Crouse 2016, "On implementing 2D rectangular assignment algorithms", IEEE Transactions on Aerospace and Electronic
// Systems 52(4)). Among equal columns it takes the one that SciPy's linear_sum_assignment takes: where all scores are
// equal the result is the identity.
Order AssignMost(const Eigen::MatrixXd& scores);

}  // namespace gdprnn

#endif  // GDPRNN_ASSIGNMENT_H_
