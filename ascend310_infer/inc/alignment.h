// Which track of a chunk continues which of the chunk before; as src/stitching/alignment.py, where it is explained.
//
// Letters in shapes: C speakers, M samples of a chunk, V samples of an overlap.
#ifndef GDPRNN_ALIGNMENT_H_
#define GDPRNN_ALIGNMENT_H_

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "assignment.h"
#include "tracks.h"
#include "voiceprint.h"

namespace gdprnn {

// 1 or -1 of every track, [C].
using Signs = std::vector<float>;

// For every chunk: track c of the result is the chunk's track orders[chunk][c], times signs[chunk][c].
struct Alignment {
  std::vector<Order> orders;
  std::vector<Signs> signs;
};

// A chunk's tracks beside those of the chunk before, where the two overlap, each in its chunk's own order.
struct Overlap {
  Eigen::MatrixXd products;         // [C before, C], inner products
  Eigen::VectorXd energies_before;  // [C]
  Eigen::VectorXd energies;         // [C]
  int64_t num_samples;

  // [C before, C], -1 to 1, and near 0 where a track is nearly silent: what it holds there has no sign.
  Eigen::MatrixXd Correlations(double mean_power) const;

  // [C before, C], whose sum over the right pairs is near 1: how much of the energy they have in common.
  // `mean_power` is that of all tracks together, over the whole recording: a nearly silent overlap says little.
  Eigen::MatrixXd Agreement(double mean_power) const;
};

// The overlap of a chunk's tracks [C, M] with the end of the chunk before, [C, V].
Overlap Compare(const TracksView& before, const TracksView& tracks);

// What the orders are found from.
struct Evidence {
  std::vector<Eigen::MatrixXd> agreements;  // of every chunk but the first
  std::vector<Voices> voices;               // of every chunk, comparable with each other
};

// Takes the chunks of a recording one after the other, and then gives their alignment.
//
// What it keeps of a chunk is some kilobytes, however long the chunk is; of the last one also its tracks.
class Aligner {
 public:
  // `sample_rate` in Hz; `mean_power` is the recording's mean square.
  Aligner(int sample_rate, double mean_power) : listener_(sample_rate, mean_power) {}

  // Takes the next chunk: its first sample in the recording, its mixture [M], its tracks [C, M], and the part
  // [use_start, use_stop) of it that the result is made from, which is what is heard of the voices.
  void Add(int64_t start, const float* mixture, const TracksView& tracks, int64_t use_start, int64_t use_stop);

  // The alignment of all chunks so far.
  Alignment Result() const;

  // What Search takes.
  Evidence Gathered() const;

 private:
  double MeanPower() const;

  Listener listener_;
  std::vector<Overlap> overlaps_;  // of all chunks but the first
  std::vector<Voices> voices_;
  double energy_ = 0.0;
  int64_t num_samples_ = 0;
  int64_t start_before_ = 0;
  Tracks before_;
};

// 1 or -1 for every chunk and track, so that no track turns upside down where it clearly goes on.
std::vector<Signs> FindSigns(const std::vector<Order>& orders, const std::vector<Overlap>& overlaps, double mean_power);

}  // namespace gdprnn

#endif  // GDPRNN_ALIGNMENT_H_
