// Where the members of a team add up the gradients of the weights, each for itself, and how those become the result.
#ifndef GDPRNN_KERNELS_SUMS_H_
#define GDPRNN_KERNELS_SUMS_H_

#include "block.h"

namespace gdprnn {

// One member's, rows and columns rounded up.
struct Sums {
  float* ih[kStreams];             // [gate rows][channel columns]
  float* hh[kStreams];             // [gate rows][hidden columns]
  float* bias[kStreams];           // [gate rows][kLanes]
  float* projection[kLstms];       // [channel rows][2 * hidden columns]
  float* projection_bias[kLstms];  // [channel rows][kLanes]
  float* output;                   // [channel rows][2 * channel columns]
  float* output_bias;              // [channel rows][kLanes]

  static constexpr int kParts = kStreams + kLstms + 1;  // the streams, the projections, the output layer

  // Their size; `sums` from `floats` on.
  static int64_t Place(const Sizes& sizes, float* floats, Sums* sums) {
    int64_t taken = 0;
    const auto take = [&](int rows, int columns) {
      float* place = floats ? floats + taken : nullptr;
      taken += static_cast<int64_t>(rows) * columns;
      return place;
    };
    for (int stream = 0; stream < kStreams; ++stream) {
      sums->ih[stream] = take(sizes.gate_rows(), sizes.channel_columns());
      sums->hh[stream] = take(sizes.gate_rows(), sizes.hidden_columns());
      sums->bias[stream] = take(sizes.gate_rows(), kLanes);
    }
    for (int lstm = 0; lstm < kLstms; ++lstm) {
      sums->projection[lstm] = take(sizes.channel_rows(), 2 * sizes.hidden_columns());
      sums->projection_bias[lstm] = take(sizes.channel_rows(), kLanes);
    }
    sums->output = take(sizes.channel_rows(), 2 * sizes.channel_columns());
    sums->output_bias = take(sizes.channel_rows(), kLanes);
    return taken;
  }
};

// The sums of all members, one after the other, for one array of them.
class MembersSums {
 public:
  MembersSums(const float* first, int64_t member_floats, int num_members)
      : first_(first), member_floats_(member_floats), num_members_(num_members) {}

  // to [num_rows, num_columns, rows to_stride apart] = the sum of a part.
  void WriteWeight(int64_t offset, int stride, int num_rows, int num_columns, float* to, int to_stride) const {
    for (int row = 0; row < num_rows; ++row) {
      float* place = to + static_cast<int64_t>(row) * to_stride;
      std::fill_n(place, num_columns, 0.0f);
      for (int member = 0; member < num_members_; ++member) {
        const float* from = first_ + member * member_floats_ + offset + static_cast<int64_t>(row) * stride;
        for (int column = 0; column < num_columns; ++column) place[column] += from[column];
      }
    }
  }
  void WriteBias(int64_t offset, int num_rows, float* to) const {
    for (int row = 0; row < num_rows; ++row) {
      to[row] = 0.0f;
      for (int member = 0; member < num_members_; ++member) {
        const float* from = first_ + member * member_floats_ + offset + static_cast<int64_t>(row) * kLanes;
        for (int lane = 0; lane < kLanes; ++lane) to[row] += from[lane];
      }
    }
  }

 private:
  const float* first_;
  int64_t member_floats_;
  int num_members_;
};

// Writes one of Sums::kParts to the tensors.
inline void WriteGradients(const Sizes& sizes, float* floats, int64_t member_floats, int num_members, int part,
                           const Weights<float>& gradients) {
  const MembersSums members(floats, member_floats, num_members);
  const int gate_count = kGates * sizes.hidden;
  const int channels = sizes.channels;
  Sums sums{};
  Sums::Place(sizes, floats, &sums);
  if (part < kStreams) {
    const Lstm<float>& to = gradients.lstm[part / kDirections];
    const int64_t first = static_cast<int64_t>(part % kDirections) * gate_count;
    members.WriteWeight(sums.ih[part] - floats, sizes.channel_columns(), gate_count, channels, to.ih + first * channels,
                        channels);
    members.WriteWeight(sums.hh[part] - floats, sizes.hidden_columns(), gate_count, sizes.hidden,
                        to.hh + first * sizes.hidden, sizes.hidden);
    members.WriteBias(sums.bias[part] - floats, gate_count, to.bias_ih + first);
    std::copy_n(to.bias_ih + first, gate_count, to.bias_hh + first);
  } else if (part < kStreams + kLstms) {
    const int lstm = part - kStreams;
    for (int direction = 0; direction < kDirections; ++direction) {
      members.WriteWeight(sums.projection[lstm] - floats + direction * sizes.hidden_columns(),
                          2 * sizes.hidden_columns(), channels, sizes.hidden,
                          gradients.projection[lstm] + direction * sizes.hidden, kDirections * sizes.hidden);
    }
    members.WriteBias(sums.projection_bias[lstm] - floats, channels, gradients.projection_bias[lstm]);
  } else {
    for (int half = 0; half < 2; ++half) {
      members.WriteWeight(sums.output - floats + half * sizes.channel_columns(), 2 * sizes.channel_columns(), channels,
                          channels, gradients.output + half * channels, 2 * channels);
    }
    members.WriteBias(sums.output_bias - floats, channels, gradients.output_bias);
  }
}

}  // namespace gdprnn

#endif  // GDPRNN_KERNELS_SUMS_H_
