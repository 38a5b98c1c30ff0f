// What the forward and the backward pass of a gated block share: its sizes, its weights, and how sequences lie in memory.
//
// Letters: T steps of a sequence, Q sequences, N channels, H units of a direction. A group is kLanes sequences, the last
// one filled with zeros. A stream is one direction of one of the two LSTMs.
#ifndef GDPRNN_KERNELS_BLOCK_H_
#define GDPRNN_KERNELS_BLOCK_H_

#include <algorithm>
#include <cstdint>
#include <vector>

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
  int row_multiple;  // of which products write rows

  static Sizes Of(const int64_t* shape, bool along_inner, int64_t hidden, int row_multiple) {
    const int64_t batch_row = shape[2] * shape[3];
    Sizes sizes{};
    sizes.channels = static_cast<int>(shape[3]);
    sizes.hidden = static_cast<int>(hidden);
    sizes.row_multiple = row_multiple;
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

  // Rows as products write them, and columns as gradients are added up.
  int gate_rows() const { return RoundUp(kGates * hidden, row_multiple); }
  int channel_rows() const { return RoundUp(channels, row_multiple); }
  int hidden_rows() const { return RoundUp(hidden, row_multiple); }
  int both_hidden_rows() const { return RoundUp(kDirections * hidden, row_multiple); }
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
  template <typename Array>
  static Weights From(Array* const* arrays) {
    const auto at = [arrays](int place) { return static_cast<Float*>(arrays[place]); };
    return {{{at(0), at(1), at(2), at(3)}, {at(4), at(5), at(6), at(7)}},
            {at(8), at(10)},
            {at(9), at(11)},
            at(12),
            at(13)};
  }
};

// What the backward pass needs of the forward pass, for one group. Features lie as `Math` has them.
template <typename Math>
struct Saved {
  typedef typename Math::Element Element;
  Element* gates[kStreams];   // [T][4H], after sigmoid and tanh
  Element* cells[kStreams];   // [T][H]
  Element* hidden[kLstms];    // [T][2H], both directions
  Element* factors[kLstms];   // [T][N], the projections that are multiplied

  static int64_t ElementsOfGroup(const Sizes& sizes) {
    return static_cast<int64_t>(sizes.steps) *
           (kStreams * (Math::ElementsOf(kGates * sizes.hidden) + Math::ElementsOf(sizes.hidden)) +
            kLstms * (Math::ElementsOf(kDirections * sizes.hidden) + Math::ElementsOf(sizes.channels)));
  }
  static Saved Of(const Sizes& sizes, float* saved, int group) {
    Element* next = reinterpret_cast<Element*>(saved) + group * ElementsOfGroup(sizes);
    const auto take = [&next, &sizes](int features) {
      Element* taken = next;
      next += static_cast<int64_t>(sizes.steps) * Math::ElementsOf(features);
      return taken;
    };
    Saved parts{};
    for (Element*& gates : parts.gates) gates = take(kGates * sizes.hidden);
    for (Element*& cells : parts.cells) cells = take(sizes.hidden);
    for (Element*& hidden : parts.hidden) hidden = take(kDirections * sizes.hidden);
    for (Element*& factors : parts.factors) factors = take(sizes.channels);
    return parts;
  }
};

// `count` floats, zeros after them.
inline Vector LoadFirst(const float* from, int count) {
  if (count >= kWidth) return Load(from);
  Vector values{};
  std::memcpy(&values, from, sizeof(float) * static_cast<size_t>(count));
  return values;
}

// Rows of `count` floats, nullptr for zeros -> columns [count][kLanes].
inline void ToColumns(const float* const rows[kLanes], int count, float* columns) {
  for (int half = 0; half < kLanes; half += kWidth) {
    for (int first = 0; first < count; first += kWidth) {
      const int used = std::min(kWidth, count - first);
      Integers square[kWidth];
      for (int place = 0; place < kWidth; ++place) {
        const float* row = rows[half + place];
        square[place] = row ? (Integers)LoadFirst(row + first, used) : Integers{};
      }
      TransposeSquare(square);
      for (int place = 0; place < used; ++place) Store(columns + (first + place) * kLanes + half, square[place]);
    }
  }
}

// Columns [count][kLanes] -> rows of `count` floats, but for those that are nullptr.
inline void FromColumns(const float* columns, int count, float* const rows[kLanes]) {
  for (int half = 0; half < kLanes; half += kWidth) {
    for (int first = 0; first < count; first += kWidth) {
      const int used = std::min(kWidth, count - first);
      Integers square[kWidth];
      for (int place = 0; place < kWidth; ++place) {
        square[place] = place < used ? LoadAs<Integers>(columns + (first + place) * kLanes + half) : Integers{};
      }
      TransposeSquare(square);
      for (int place = 0; place < kWidth; ++place) {
        float* row = rows[half + place];
        if (row) std::memcpy(row + first, &square[place], sizeof(float) * static_cast<size_t>(used));
      }
    }
  }
}

// Where the sequences of a group have one step in a tensor; nullptr where there is no sequence.
template <typename Float>
void RowsOf(const Sizes& sizes, Float* tensor, int group, int step, Float* rows[kLanes]) {
  for (int lane = 0; lane < kLanes; ++lane) {
    const int sequence = group * kLanes + lane;
    rows[lane] = sequence < sizes.sequences ? tensor + sizes.OffsetOf(sequence) + step * sizes.step_stride : nullptr;
  }
}

// One step of a group, from the tensor to columns [N][kLanes], zeros where there is no sequence.
inline void GatherColumns(const Sizes& sizes, const float* tensor, int group, int step, float* columns) {
  const float* rows[kLanes];
  RowsOf(sizes, tensor, group, step, rows);
  ToColumns(rows, sizes.channels, columns);
}

// One step of a group, from columns [N][kLanes] to the tensor.
inline void ScatterColumns(const Sizes& sizes, const float* columns, int group, int step, float* tensor) {
  float* rows[kLanes];
  RowsOf(sizes, tensor, group, step, rows);
  FromColumns(columns, sizes.channels, rows);
}

// One step of a group, from the tensor to the right side of outer products, zeros where there is nothing.
template <typename Math>
void GatherRight(const Sizes& sizes, const float* tensor, int group, int step, typename Math::Right* right) {
  const float* rows[kLanes];
  RowsOf(sizes, tensor, group, step, rows);
  for (int pair = 0; pair < kLanes / 2; ++pair) {
    Math::StoreRight(right, sizes.channel_columns(), pair, rows[2 * pair], rows[2 * pair + 1], sizes.channels);
  }
}

// Bias [count] -> what products begin with, [rows][kLanes], zeros beyond `count`.
inline std::vector<float> Spread(const std::vector<float>& bias, int rows) {
  std::vector<float> spread(static_cast<size_t>(rows) * kLanes);
  for (size_t row = 0; row < bias.size(); ++row) std::fill_n(spread.begin() + row * kLanes, kLanes, bias[row]);
  return spread;
}

}  // namespace gdprnn

#endif  // GDPRNN_KERNELS_BLOCK_H_
