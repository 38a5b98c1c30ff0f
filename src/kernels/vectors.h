// Vectors of floats as wide as the processor has them, and the functions of an LSTM on them.
#ifndef GDPRNN_KERNELS_VECTORS_H_
#define GDPRNN_KERNELS_VECTORS_H_

#include <cstdint>
#include <cstring>

#if defined(__AVX__)
#include <immintrin.h>
#endif

namespace gdprnn {

#if defined(__AVX512F__)
constexpr int kWidth = 16;  // floats of a vector
#elif defined(__AVX__)
constexpr int kWidth = 8;
#else
constexpr int kWidth = 4;
#endif
constexpr int kLanes = 2 * kWidth;  // sequences that go through the LSTMs side by side

typedef float Vector __attribute__((vector_size(4 * kWidth)));
typedef int32_t Integers __attribute__((vector_size(4 * kWidth)));

template <typename Values>
inline Values LoadAs(const void* from) {
  Values values;
  std::memcpy(&values, from, sizeof values);
  return values;
}

inline Vector Load(const float* from) { return LoadAs<Vector>(from); }

template <typename Values>
inline void Store(void* to, Values values) {
  std::memcpy(to, &values, sizeof values);
}

inline Vector All(float value) { return value - Vector{}; }

// NaN stays NaN.
inline Vector Clamp(Vector values, float least, float most) {
  values = values < All(least) ? All(least) : values;
  return values > All(most) ? All(most) : values;
}

// 1 / x, relative error about 2^-22.
inline Vector Reciprocal(Vector values) {
#if defined(__AVX512F__)
  const Vector guess = (Vector)_mm512_maskz_rcp14_ps(-1, (__m512)values);
  return guess * (2.0f - values * guess);  // Newton's step
#else
  return 1.0f / values;
#endif
}

// e^x - 1 = 2^n (1 + q) - 1 with x = n ln 2 + r and q = e^r - 1, so that small x lose nothing. For |x| < 87.
inline Vector ExpMinusOne(Vector x) {
  const float round = 12582912.0f;  // 1.5 * 2^23: a float of this size has no fraction, n stands in its last bits
  const Vector shifted = x * 1.44269504f + round;
  const Vector n = shifted - round;
  const Vector r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts, the first of few bits
  Vector q = All(1.0f / 5040);  // Taylor's series: |r| <= ln 2 / 2
  q = q * r + 1.0f / 720;
  q = q * r + 1.0f / 120;
  q = q * r + 1.0f / 24;
  q = q * r + 1.0f / 6;
  q = q * r + 0.5f;
  q = q * (r * r) + r;
  const Vector power = (Vector)(((Integers)shifted << 23) + 0x3f800000);  // 2^n
  return power * q + (power - 1.0f);
}

inline Vector Sigmoid(Vector x) { return Reciprocal(2.0f + ExpMinusOne(-Clamp(x, -60.0f, 60.0f))); }

inline Vector Tanh(Vector x) {
  const Vector grown = ExpMinusOne(2.0f * Clamp(x, -12.0f, 12.0f));
  return grown * Reciprocal(grown + 2.0f);
}

// Exchanges rows and columns of a square of 32-bit values, by halves, quarters and so on.
inline void TransposeSquare(Integers rows[kWidth]) {
#pragma GCC unroll 4
  for (int half = 1; half < kWidth; half *= 2) {
    Integers low, high;  // which element of the two rows, one after the other, comes to each place
    for (int place = 0; place < kWidth; ++place) {
      low[place] = place & half ? kWidth + place - half : place;
      high[place] = place & half ? kWidth + place : place + half;
    }
#pragma GCC unroll 16
    for (int row = 0; row < kWidth; ++row) {
      if (row & half) continue;
      const Integers upper = rows[row];
      const Integers lower = rows[row + half];
#if defined(__clang__)
      for (int place = 0; place < kWidth; ++place) {
        rows[row][place] = place & half ? lower[place - half] : upper[place];
        rows[row + half][place] = place & half ? lower[place] : upper[place + half];
      }
#else
      rows[row] = __builtin_shuffle(upper, lower, low);
      rows[row + half] = __builtin_shuffle(upper, lower, high);
#endif
    }
  }
}

inline int RoundUp(int count, int multiple) { return (count + multiple - 1) / multiple * multiple; }

}  // namespace gdprnn

#endif  // GDPRNN_KERNELS_VECTORS_H_
