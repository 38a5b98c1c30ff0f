// Matrix products of the shapes that a gated block has. What goes through the LSTMs lies as [features][kLanes], so that a
// vector holds one feature of neighbouring sequences.
#ifndef GDPRNN_KERNELS_PRODUCTS_H_
#define GDPRNN_KERNELS_PRODUCTS_H_

#include <vector>

#include "vectors.h"

namespace gdprnn {

// A weight in panels of kRows outputs: [panel][input][kRows], the last panel filled with zeros.
class Panels {
 public:
  // From at(output, input).
  template <typename At>
  Panels(int num_outputs, int num_inputs, const At& at)
      : num_outputs_(num_outputs), num_inputs_(num_inputs),
        values_(static_cast<size_t>(RoundUp(num_outputs, kRows)) * num_inputs) {
    for (int output = 0; output < num_outputs; ++output) {
      float* column = values_.data() + static_cast<size_t>(output / kRows) * kRows * num_inputs + output % kRows;
      for (int input = 0; input < num_inputs; ++input) column[input * kRows] = at(output, input);
    }
  }
  int num_outputs() const { return num_outputs_; }
  int num_inputs() const { return num_inputs_; }
  const float* panel(int output) const { return values_.data() + static_cast<size_t>(output) * num_inputs_; }

 private:
  int num_outputs_;
  int num_inputs_;
  std::vector<float> values_;
};

// What the sums of a product begin with.
enum class Begin { kZero, kBias, kOutput };

namespace internal {

struct Tile {
  Vector sums[kRows][2];
};

inline void AddColumns(const float* weights, const float* inputs, int num_inputs, Tile* tile) {
  for (int input = 0; input < num_inputs; ++input) {
    const Vector left = Load(inputs + input * kLanes);
    const Vector right = Load(inputs + input * kLanes + kWidth);
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
      const Vector weight = All(weights[input * kRows + row]);
      tile->sums[row][0] += weight * left;
      tile->sums[row][1] += weight * right;
    }
  }
}

}  // namespace internal

// outputs [weight's outputs, rounded up to kRows][kLanes] = start + weight x inputs, where the inputs are two arrays one
// upon the other: `first` [num_first][kLanes] and `second` [the rest][kLanes]. The bias has as many rows as the outputs.
template <Begin kBegin>
void Multiply(const Panels& weight, const float* first, int num_first, const float* second, const float* bias,
              float* outputs) {
  for (int output = 0; output < weight.num_outputs(); output += kRows) {
    const float* panel = weight.panel(output);
    float* rows = outputs + static_cast<size_t>(output) * kLanes;
    internal::Tile tile;
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
      if (kBegin == Begin::kOutput) {
        tile.sums[row][0] = Load(rows + row * kLanes);
        tile.sums[row][1] = Load(rows + row * kLanes + kWidth);
      } else {
        tile.sums[row][0] = tile.sums[row][1] = All(kBegin == Begin::kBias ? bias[output + row] : 0.0f);
      }
    }
    internal::AddColumns(panel, first, num_first, &tile);
    internal::AddColumns(panel + num_first * kRows, second, weight.num_inputs() - num_first, &tile);
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
      Store(rows + row * kLanes, tile.sums[row][0]);
      Store(rows + row * kLanes + kWidth, tile.sums[row][1]);
    }
  }
}

// sums [num_rows rounded up to kRows][stride] += over all steps: left [num_rows, rounded up][kLanes] x right [kLanes][stride'].
// It is the gradient of a weight. num_columns is a multiple of kLanes.
inline void AddOuterProducts(const float* left, size_t left_step, int num_rows, const float* right, size_t right_step,
                             int right_stride, int num_columns, int num_steps, float* sums, int stride) {
  for (int column = 0; column < num_columns; column += kLanes) {
    for (int first = 0; first < num_rows; first += kRows) {
      float* rows = sums + static_cast<size_t>(first) * stride + column;
      internal::Tile tile;
#pragma GCC unroll 16
      for (int row = 0; row < kRows; ++row) {
        tile.sums[row][0] = Load(rows + row * stride);
        tile.sums[row][1] = Load(rows + row * stride + kWidth);
      }
      for (int step = 0; step < num_steps; ++step) {
        const float* factors = left + step * left_step + first * kLanes;
        const float* values = right + step * right_step + column;
        for (int lane = 0; lane < kLanes; ++lane, values += right_stride) {
          const Vector value0 = Load(values);
          const Vector value1 = Load(values + kWidth);
#pragma GCC unroll 16
          for (int row = 0; row < kRows; ++row) {
            const Vector factor = All(factors[row * kLanes + lane]);
            tile.sums[row][0] += factor * value0;
            tile.sums[row][1] += factor * value1;
          }
        }
      }
#pragma GCC unroll 16
      for (int row = 0; row < kRows; ++row) {
        Store(rows + row * stride, tile.sums[row][0]);
        Store(rows + row * stride + kWidth, tile.sums[row][1]);
      }
    }
  }
}

}  // namespace gdprnn

#endif  // GDPRNN_KERNELS_PRODUCTS_H_
