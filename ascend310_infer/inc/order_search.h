// The orders of all chunks, chosen together; as `search` of src/stitching/alignment.py, where it is explained.
#ifndef GDPRNN_ORDER_SEARCH_H_
#define GDPRNN_ORDER_SEARCH_H_

#include <Eigen/Core>
#include <vector>

#include "assignment.h"
#include "voiceprint.h"

namespace gdprnn {

// Orders [C] of all chunks with a high log likelihood, the first chunk's as it is.
//
// First every chunk takes the order that fits what came before. Then, as long as that is better, all orders are
// chosen anew at once (dynamic programming), each chunk's voices compared with those of all other chunks; and two
// speakers are exchanged from some chunk on.
//
// `agreements` are [C before, C] of every chunk but the first, as Overlap::Agreement gives them; `voices` of every
// chunk, comparable with each other.
std::vector<Order> Search(const std::vector<Eigen::MatrixXd>& agreements, const std::vector<Voices>& voices);

}  // namespace gdprnn

#endif  // GDPRNN_ORDER_SEARCH_H_
