// Arrays of several tracks.
#ifndef GDPRNN_TRACKS_H_
#define GDPRNN_TRACKS_H_

#include <Eigen/Core>

namespace gdprnn {

// [C, T], the samples of a track side by side.
using Tracks = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// The same without owning them, so also some of the samples of longer tracks.
using TracksView = Eigen::Ref<const Tracks, 0, Eigen::OuterStride<>>;

}  // namespace gdprnn

#endif  // GDPRNN_TRACKS_H_
