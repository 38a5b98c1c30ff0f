// One gain a track, with its sign: what SI-SNR leaves open; as src/stitching/gains.py, where the rule is explained.
#ifndef GDPRNN_GAINS_H_
#define GDPRNN_GAINS_H_

#include <Eigen/Core>
#include <vector>

namespace gdprnn {

// The gains [C], to be multiplied with the tracks, that make their sum fit the mixture best, from inner products, which
// can be summed over the pieces of a recording: of the tracks with each other, [C, C], and with the mixture, [C].
//
// Every track stays audible and upright, equal tracks get equal gains, and a silent one gets 0.
// Raises Failure(kInference) where a product is not finite.
std::vector<double> GainsFromProducts(const Eigen::MatrixXd& track_products, const Eigen::VectorXd& mixture_products);

}  // namespace gdprnn

#endif  // GDPRNN_GAINS_H_
