// What the forward and the backward pass of a gated block share: its sizes, its weights, and how sequences lie in memory.
//
// Letters: T steps of a sequence, Q sequences, N channels, H units of a direction. A group is kLanes sequences, the last
// one filled with zeros. A stream is one direction of one of the two LSTMs.
#ifndef GDPRNN_KERNELS_BLOCK_H_
#define GDPRNN_KERNELS_BLOCK_H_

#include <algorithm>
#include <cstdint>

#include "vectors.h"

namespace gdprnn {

constexpr int kLstms = 2;       // values and gates
constexpr int kDirections = 2;  // of an LSTM
constexpr int kStreams = kLstms * kDirections;
constexpr int kGates = 4;  // input, forget, cell, output

// Sizes of a block that runs along an axis of [outer, inner, batch, N].
struct Sizes {
  int steps;      // T
  int sequences;  // Q
  int channels;   // N
  int hidden;     // H
  int64_t step_stride;
  int64_t outer_stride;  // of sequences, which are numbered (outer, batch) along the inner axis, else (inner, batch)
  int inner_sequences;

  static Sizes Of(const int64_t* shape, bool along_inner, int64_t hidden) {
    const int64_t batch_row = shape[2] * shape[3];
    Sizes sizes{};
    sizes.channels = static_cast<int>(shape[3]);
    sizes.hidden = static_cast<int>(hidden);
    sizes.steps = static_cast<int>(along_inner ? shape[1] : shape[0]);
    sizes.sequences = static_cast<int>((along_inner ? shape[0] : shape[1]) * shape[2]);
    sizes.step_stride = along_inner ? batch_row : shape[1] * batch_row;
    sizes.inner_sequences = static_cast<int>(along_inner ? shape[2] : shape[1] * shape[2]);
    sizes.outer_stride = shape[1] * batch_row;
    return sizes;
  }
  int64_t OffsetOf(int sequence) const {
    return sequence / inner_sequences * outer_stride + static_cast<int64_t>(sequence % inner_sequences) * channels;
  }
  int groups() const { return (sequences + kLanes - 1) / kLanes; }
  int lanes_of(int group) const { return std::min(kLanes, sequences - group * kLanes); }

  // Rows as products write them, and columns as gradients are added up.
  int gate_rows() const { return RoundUp(kGates * hidden, kRows); }
  int channel_rows() const { return RoundUp(channels, kRows); }
  int hidden_rows() const { return RoundUp(hidden, kRows); }
  int channel_columns() const { return RoundUp(channels, kLanes); }
  int hidden_columns() const { return RoundUp(hidden, kLanes); }
};

// Both directions: ih [2, 4H, N], hh [2, 4H, H], bias_ih and bias_hh [2, 4H].
template <typename Float>
struct Lstm {
  Float* ih;
  Float* hh;
  Float* bias_ih;
  Float* bias_hh;
};

// Weights, or their gradients, in the order in which the operators take them.
template <typename Float>
struct Weights {
  Lstm<Float> lstm[kLstms];
  Float* projection[kLstms];       // [N, 2H]
  Float* projection_bias[kLstms];  // [N]
  Float* output;                   // [N, 2N]
  Float* output_bias;              // [N]

  static constexpr int kCount = 14;
  static Weights From(void** arrays) {
    const auto at = [arrays](int place) { return static_cast<Float*>(arrays[place]); };
    return {{{at(0), at(1), at(2), at(3)}, {at(4), at(5), at(6), at(7)}},
            {at(8), at(10)},
            {at(9), at(11)},
            at(12),
            at(13)};
  }
};

// What the backward pass needs of the forward pass, for one group.
struct Saved {
  float* gates[kStreams];  // [T][gate rows][kLanes], after sigmoid and tanh
  float* cells[kStreams];  // [T][H][kLanes]
  float* hidden[kLstms];   // [T][2H][kLanes], both directions
  float* factors[kLstms];  // [T][channel rows][kLanes], the projections that are multiplied

  static int64_t FloatsOfGroup(const Sizes& sizes) {
    return static_cast<int64_t>(sizes.steps) * kLanes *
           (kStreams * (sizes.gate_rows() + sizes.hidden) + kLstms * (2 * sizes.hidden + sizes.channel_rows()));
  }
  static Saved Of(const Sizes& sizes, float* saved, int group) {
    float* next = saved + group * FloatsOfGroup(sizes);
    const auto take = [&next, &sizes](int rows) {
      float* taken = next;
      next += static_cast<int64_t>(sizes.steps) * rows * kLanes;
      return taken;
    };
    Saved parts{};
    for (float*& gates : parts.gates) gates = take(sizes.gate_rows());
    for (float*& cells : parts.cells) cells = take(sizes.hidden);
    for (float*& hidden : parts.hidden) hidden = take(2 * sizes.hidden);
    for (float*& factors : parts.factors) factors = take(sizes.channel_rows());
    return parts;
  }
};

// One step of a group, from the tensor to columns [N][kLanes], zeros where there is no sequence.
inline void GatherColumns(const Sizes& sizes, const float* tensor, int group, int step, float* columns) {
  const int used = sizes.lanes_of(group);
  for (int lane = 0; lane < used; ++lane) {
    const float* row = tensor + sizes.OffsetOf(group * kLanes + lane) + step * sizes.step_stride;
    for (int channel = 0; channel < sizes.channels; ++channel) columns[channel * kLanes + lane] = row[channel];
  }
  for (int channel = 0; used < kLanes && channel < sizes.channels; ++channel) {
    std::fill(columns + channel * kLanes + used, columns + (channel + 1) * kLanes, 0.0f);
  }
}

// One step of a group, from the tensor to rows [kLanes][channel columns], zeros where there is nothing.
inline void GatherRows(const Sizes& sizes, const float* tensor, int group, int step, float* rows) {
  const int columns = sizes.channel_columns();
  for (int lane = 0; lane < kLanes; ++lane, rows += columns) {
    int count = 0;
    if (lane < sizes.lanes_of(group)) {
      count = sizes.channels;
      std::copy_n(tensor + sizes.OffsetOf(group * kLanes + lane) + step * sizes.step_stride, count, rows);
    }
    std::fill(rows + count, rows + columns, 0.0f);
  }
}

// One step of a group, from columns [N][kLanes] to the tensor.
inline void ScatterColumns(const Sizes& sizes, const float* columns, int group, int step, float* tensor) {
  for (int lane = 0; lane < sizes.lanes_of(group); ++lane) {
    float* row = tensor + sizes.OffsetOf(group * kLanes + lane) + step * sizes.step_stride;
    for (int channel = 0; channel < sizes.channels; ++channel) row[channel] = columns[channel * kLanes + lane];
  }
}

// [count][kLanes] -> [kLanes][stride], of which the columns from `count` to `width` become zeros.
inline void Transpose(const float* columns, int count, float* rows, int stride, int width) {
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int place = 0; place < count; ++place) rows[lane * stride + place] = columns[place * kLanes + lane];
    std::fill(rows + lane * stride + count, rows + lane * stride + width, 0.0f);
  }
}

}  // namespace gdprnn

#endif  // GDPRNN_KERNELS_BLOCK_H_
