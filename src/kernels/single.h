// Products in float32. src/kernels/half.h has the same interface for bfloat16.
//
// What goes through the LSTMs lies as [features][kLanes], so that a vector holds a feature of neighbouring sequences.
// Features are read and written two at a time, because in bfloat16 two share a place.
#ifndef GDPRNN_KERNELS_SINGLE_H_
#define GDPRNN_KERNELS_SINGLE_H_

#include <algorithm>
#include <vector>

#include "vectors.h"

namespace gdprnn {

struct Single {
#if defined(__AVX512F__) || defined(__aarch64__)
  static constexpr int kRows = 12;  // of a product's tile, two vectors wide: 24 sums stay in 32 registers
#else
  static constexpr int kRows = 6;  // 16 registers
#endif
  static constexpr int kMultiple = 2;  // of which N and H must be multiples

  typedef float Element;  // of features, as [features][kLanes]
  typedef float Left;     // of the left side of outer products, the same
  typedef float Right;    // of the right side, [kLanes][columns]
  static constexpr bool kOperandIsFloat = true;  // and so also the left side
  static constexpr int kFeaturesOfElement = 1;
  static constexpr int kRightRows = kLanes;

  static bool IsAllowed() { return true; }

  // What a thread needs before its first product.
  struct Thread {};

  static int ElementsOf(int features) { return RoundUp(features, kRows) * kLanes; }

  static void StorePair(Element* array, int feature, int lane, Vector first, Vector second) {
    Store(array + feature * kLanes + lane, first);
    Store(array + (feature + 1) * kLanes + lane, second);
  }
  static void LoadPair(const Element* array, int feature, int lane, Vector* first, Vector* second) {
    *first = Load(array + feature * kLanes + lane);
    *second = Load(array + (feature + 1) * kLanes + lane);
  }
  static void StoreLeft(Left*, int, int, Vector) {}  // it is where the operand is

  // Two rows of a tensor, of the lanes 2 * pair and the next one, either may be nullptr for zeros.
  static void StoreRight(Right* right, int columns, int pair, const float* first, const float* second, int count) {
    const float* rows[2] = {first, second};
    for (int odd = 0; odd < 2; ++odd) {
      Right* to = right + (2 * pair + odd) * columns;
      const int given = rows[odd] ? count : 0;
      std::copy_n(rows[odd], given, to);
      std::fill(to + given, to + columns, 0.0f);
    }
  }

  // features [count][kLanes] -> right [kLanes][columns], zeros beyond `count`; rows are `stride` apart.
  static void TransposeToRight(const Element* features, int count, Right* right, int columns, int stride) {
    for (int first = 0; first < columns; first += kWidth) {
      for (int half = 0; half < kLanes; half += kWidth) {
        Integers square[kWidth];
        for (int row = 0; row < kWidth; ++row) {
          square[row] = first + row < count ? LoadAs<Integers>(features + (first + row) * kLanes + half) : Integers{};
        }
        TransposeSquare(square);
        for (int row = 0; row < kWidth; ++row) Store(right + (half + row) * stride + first, square[row]);
      }
    }
  }

  // A weight in panels of kRows outputs: [panel][input][kRows], the last one filled with zeros.
  class Panels {
   public:
    // From at(output, input); the second input follows the first.
    template <typename At>
    Panels(int num_outputs, int num_first, int num_second, const At& at)
        : num_outputs_(num_outputs), num_first_(num_first), num_second_(num_second),
          values_(static_cast<size_t>(RoundUp(num_outputs, kRows)) * (num_first + num_second)) {
      const int num_inputs = num_first + num_second;
      for (int output = 0; output < num_outputs; ++output) {
        float* column = values_.data() + static_cast<size_t>(output / kRows) * kRows * num_inputs + output % kRows;
        for (int input = 0; input < num_inputs; ++input) column[input * kRows] = at(output, input);
      }
    }

    // outputs [num_outputs, rounded up][kLanes] = start + weight x (first, second); start has the outputs' shape, or is
    // nullptr for zeros.
    void Multiply(const Element* first, const Element* second, const float* start, float* outputs) const {
      const int num_inputs = num_first_ + num_second_;
      for (int output = 0; output < num_outputs_; output += kRows) {
        const float* panel = values_.data() + static_cast<size_t>(output) * num_inputs;
        const float* begin = start ? start + output * kLanes : nullptr;
        float* rows = outputs + output * kLanes;
        Vector sums[kRows][2];
#pragma GCC unroll 16
        for (int row = 0; row < kRows; ++row) {
          sums[row][0] = begin ? Load(begin + row * kLanes) : Vector{};
          sums[row][1] = begin ? Load(begin + row * kLanes + kWidth) : Vector{};
        }
        Add(panel, first, num_first_, sums);
        Add(panel + num_first_ * kRows, second, num_second_, sums);
#pragma GCC unroll 16
        for (int row = 0; row < kRows; ++row) {
          Store(rows + row * kLanes, sums[row][0]);
          Store(rows + row * kLanes + kWidth, sums[row][1]);
        }
      }
    }

   private:
    static void Add(const float* weights, const float* inputs, int num_inputs, Vector sums[kRows][2]) {
      for (int input = 0; input < num_inputs; ++input) {
        const Vector left = Load(inputs + input * kLanes);
        const Vector right = Load(inputs + input * kLanes + kWidth);
#pragma GCC unroll 16
        for (int row = 0; row < kRows; ++row) {
          const Vector weight = All(weights[input * kRows + row]);
          sums[row][0] += weight * left;
          sums[row][1] += weight * right;
        }
      }
    }

    int num_outputs_;
    int num_first_;
    int num_second_;
    std::vector<float> values_;
  };

  // sums [num_rows, rounded up][stride] += over all steps left [rows][kLanes] x right [kLanes][columns], the gradient of a
  // weight. num_columns is a multiple of kLanes.
  static void AddOuterProducts(const Left* left, size_t left_step, int num_rows, const Right* right, size_t right_step,
                               int right_stride, int num_columns, int num_steps, float* sums, int stride) {
    for (int column = 0; column < num_columns; column += kLanes) {
      for (int first = 0; first < num_rows; first += kRows) {
        float* rows = sums + static_cast<size_t>(first) * stride + column;
        Vector tile[kRows][2];
#pragma GCC unroll 16
        for (int row = 0; row < kRows; ++row) {
          tile[row][0] = Load(rows + row * stride);
          tile[row][1] = Load(rows + row * stride + kWidth);
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
              tile[row][0] += factor * value0;
              tile[row][1] += factor * value1;
            }
          }
        }
#pragma GCC unroll 16
        for (int row = 0; row < kRows; ++row) {
          Store(rows + row * stride, tile[row][0]);
          Store(rows + row * stride + kWidth, tile[row][1]);
        }
      }
    }
  }
};

}  // namespace gdprnn

#endif  // GDPRNN_KERNELS_SINGLE_H_
