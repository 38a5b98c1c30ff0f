// Products of bfloat16 with sums in float32, by AMX tiles or by AVX-512's dot products of pairs. The interface is that of
// src/kernels/single.h.
//
// Two neighbouring features share a place of 32 bits, the even one in the lower half: [features / 2][kLanes].
#ifndef GDPRNN_KERNELS_HALF_H_
#define GDPRNN_KERNELS_HALF_H_

#include "vectors.h"

#if defined(__AVX512BF16__) && defined(__AVX512BW__)
#define GDPRNN_HALF 1

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace gdprnn {

struct Half {
#if defined(__AMX_BF16__)
  static constexpr int kRows = 32;  // two tiles of 16 rows
#else
  static constexpr int kRows = 12;
#endif
  static constexpr int kMultiple = 32;  // of which N and H must be multiples

  typedef uint32_t Element;  // a pair of features
  typedef uint16_t Left;     // [rows][kLanes]
  typedef uint32_t Right;    // a pair of lanes, [kLanes / 2][columns]
  static constexpr bool kOperandIsFloat = false;
  static constexpr int kFeaturesOfElement = 2;
  static constexpr int kRightRows = kLanes / 2;

  // Whether the system lets this process use what the code was compiled for.
  static bool IsAllowed() {
#if defined(__AMX_BF16__)
    constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
    constexpr long kTileData = 18;
    static const bool is_allowed = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
    return is_allowed;
#else
    return true;
#endif
  }

  // The tiles' sizes, which each thread has to set.
  struct Thread {
#if defined(__AMX_BF16__)
    Thread() {
      struct alignas(64) {
        uint8_t palette = 1;
        uint8_t start_row = 0;
        uint8_t reserved[14] = {};
        uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
      } config;
      __asm__ volatile("" : : "r"(&config) : "memory");  // GCC 12 does not know that all of it is read
      _tile_loadconfig(&config);
    }
    ~Thread() { _tile_release(); }
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;
#endif
  };

  static int ElementsOf(int features) { return features / 2 * kLanes; }

  static Integers Pack(Vector low, Vector high) {
    alignas(64) static constexpr uint16_t kInterleave[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                             8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
    return (Integers)_mm512_permutexvar_epi16(_mm512_load_si512(kInterleave), both);
  }

  static void StorePair(Element* array, int feature, int lane, Vector first, Vector second) {
    Store(array + feature / 2 * kLanes + lane, Pack(first, second));
  }
  static void LoadPair(const Element* array, int feature, int lane, Vector* first, Vector* second) {
    const Integers pairs = LoadAs<Integers>(array + feature / 2 * kLanes + lane);
    *first = (Vector)(pairs << 16);
    *second = (Vector)(pairs & static_cast<int32_t>(0xffff0000));
  }
  static void StoreLeft(Left* left, int row, int lane, Vector values) {
    const __m256i rounded = (__m256i)_mm512_cvtneps_pbh((__m512)values);
    std::memcpy(left + row * kLanes + lane, &rounded, sizeof rounded);
  }

  static void StoreRight(Right* right, int columns, int pair, const float* first, const float* second, int count) {
    for (int column = 0; column < columns; column += kWidth) {  // count is a multiple of kWidth
      const Vector low = first && column < count ? Load(first + column) : Vector{};
      const Vector high = second && column < count ? Load(second + column) : Vector{};
      Store(right + pair * columns + column, Pack(low, high));
    }
  }

  // Squares of 16 pairs of features by 16 lanes.
  static void TransposeToRight(const Element* features, int count, Right* right, int, int stride) {
    const __m512i first_half = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i second_half = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    for (int first = 0; first < count; first += 2 * kWidth) {
      for (int half = 0; half < kLanes; half += kWidth) {
        Integers square[kWidth];
        for (int row = 0; row < kWidth; ++row) {
          square[row] = LoadAs<Integers>(features + (first / 2 + row) * kLanes + half);
        }
        TransposeSquare(square);  // [lane][pair of features]
        for (int pair = 0; pair < kWidth / 2; ++pair) {
          const Integers low = square[2 * pair];
          const Integers high = square[2 * pair + 1];
          const Integers even = (low & 0xffff) | (high << 16);
          const Integers odd = ((low >> 16) & 0xffff) | (high & static_cast<int32_t>(0xffff0000));
          Right* to = right + (half / 2 + pair) * stride + first;
          _mm512_storeu_si512(to, _mm512_permutex2var_epi32((__m512i)even, first_half, (__m512i)odd));
          _mm512_storeu_si512(to + kWidth, _mm512_permutex2var_epi32((__m512i)even, second_half, (__m512i)odd));
        }
      }
    }
  }

  class Panels {
   public:
    template <typename At>
    Panels(int num_outputs, int num_first, int num_second, const At& at)
        : num_outputs_(num_outputs), first_pairs_(num_first / 2), second_pairs_(num_second / 2),
          values_(static_cast<size_t>(RoundUp(num_outputs, kRows)) * (first_pairs_ + second_pairs_)) {
      for (int output = 0; output < num_outputs; ++output) {
        for (int pair = 0; pair < first_pairs_ + second_pairs_; ++pair) {
          values_[PlaceOf(output, pair)] = Rounded(at(output, 2 * pair)) | Rounded(at(output, 2 * pair + 1)) << 16;
        }
      }
    }

    void Multiply(const Element* first, const Element* second, const float* start, float* outputs) const {
      const int num_pairs = first_pairs_ + second_pairs_;
      for (int output = 0; output < num_outputs_; output += kRows) {
        const uint32_t* panel = values_.data() + static_cast<size_t>(output) * num_pairs;
        const float* begin = start ? start + output * kLanes : nullptr;
        float* rows = outputs + output * kLanes;
#if defined(__AMX_BF16__)
        Begin(begin, kLanes);
        Add(panel, first, first_pairs_);
        Add(panel + first_pairs_ * kRows, second, second_pairs_);
        End(rows, kLanes);
#else
        Vector sums[kRows][2];
#pragma GCC unroll 16
        for (int row = 0; row < kRows; ++row) {
          sums[row][0] = begin ? Load(begin + row * kLanes) : Vector{};
          sums[row][1] = begin ? Load(begin + row * kLanes + kWidth) : Vector{};
        }
        Add(panel, first, first_pairs_, sums);
        Add(panel + first_pairs_ * kRows, second, second_pairs_, sums);
#pragma GCC unroll 16
        for (int row = 0; row < kRows; ++row) {
          Store(rows + row * kLanes, sums[row][0]);
          Store(rows + row * kLanes + kWidth, sums[row][1]);
        }
#endif
      }
    }

   private:
    static uint32_t Rounded(float value) {
      uint32_t bits;
      std::memcpy(&bits, &value, sizeof bits);
      return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    }
#if defined(__AMX_BF16__)
    // [panel of 32 outputs][16 pairs][tile][16 outputs][16 pairs]
    size_t PlaceOf(int output, int pair) const {
      const size_t panel = static_cast<size_t>(output / kRows) * kRows * (first_pairs_ + second_pairs_);
      return panel + static_cast<size_t>(pair / 16) * 512 + output % kRows / 16 * 256 + output % 16 * 16 + pair % 16;
    }
    static void Add(const uint32_t* weights, const uint32_t* inputs, int num_pairs) {
      for (int pair = 0; pair < num_pairs; pair += 16, weights += 512, inputs += 16 * kLanes) {
        _tile_loadd(4, weights, 64);
        _tile_loadd(5, weights + 256, 64);
        _tile_loadd(6, inputs, kLanes * 4);
        _tile_loadd(7, inputs + 16, kLanes * 4);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
#else
    size_t PlaceOf(int output, int pair) const {
      const size_t panel = static_cast<size_t>(output / kRows) * kRows * (first_pairs_ + second_pairs_);
      return panel + static_cast<size_t>(pair) * kRows + output % kRows;
    }
    static void Add(const uint32_t* weights, const uint32_t* inputs, int num_pairs, Vector sums[kRows][2]) {
      for (int pair = 0; pair < num_pairs; ++pair) {
        const __m512bh left = LoadAs<__m512bh>(inputs + pair * kLanes);
        const __m512bh right = LoadAs<__m512bh>(inputs + pair * kLanes + kWidth);
#pragma GCC unroll 16
        for (int row = 0; row < kRows; ++row) {
          const __m512bh weight = (__m512bh)_mm512_set1_epi32(static_cast<int>(weights[pair * kRows + row]));
          sums[row][0] = (Vector)_mm512_dpbf16_ps((__m512)sums[row][0], weight, left);
          sums[row][1] = (Vector)_mm512_dpbf16_ps((__m512)sums[row][1], weight, right);
        }
      }
    }
#endif

    int num_outputs_;
    int first_pairs_;
    int second_pairs_;
    std::vector<uint32_t> values_;
  };

  static void AddOuterProducts(const Left* left, size_t left_step, int num_rows, const Right* right, size_t right_step,
                               int right_stride, int num_columns, int num_steps, float* sums, int stride) {
    for (int column = 0; column < num_columns; column += kLanes) {
      for (int first = 0; first < num_rows; first += kRows) {
        float* rows = sums + static_cast<size_t>(first) * stride + column;
#if defined(__AMX_BF16__)
        Begin(rows, stride);
        for (int step = 0; step < num_steps; ++step) {
          const Left* factors = left + step * left_step + first * kLanes;
          const Right* values = right + step * right_step + column;
          _tile_loadd(4, factors, kLanes * 2);
          _tile_loadd(5, factors + 16 * kLanes, kLanes * 2);
          _tile_loadd(6, values, right_stride * 4);
          _tile_loadd(7, values + 16, right_stride * 4);
          _tile_dpbf16ps(0, 4, 6);
          _tile_dpbf16ps(1, 4, 7);
          _tile_dpbf16ps(2, 5, 6);
          _tile_dpbf16ps(3, 5, 7);
        }
        End(rows, stride);
#else
        Vector tile[kRows][2];
#pragma GCC unroll 16
        for (int row = 0; row < kRows; ++row) {
          tile[row][0] = Load(rows + row * stride);
          tile[row][1] = Load(rows + row * stride + kWidth);
        }
        for (int step = 0; step < num_steps; ++step) {
          const Left* factors = left + step * left_step + first * kLanes;
          const Right* values = right + step * right_step + column;
          for (int pair = 0; pair < kRightRows; ++pair, values += right_stride) {
            const __m512bh value0 = LoadAs<__m512bh>(values);
            const __m512bh value1 = LoadAs<__m512bh>(values + kWidth);
#pragma GCC unroll 16
            for (int row = 0; row < kRows; ++row) {
              const __m512bh factor = (__m512bh)_mm512_set1_epi32(LoadAs<int>(factors + row * kLanes + 2 * pair));
              tile[row][0] = (Vector)_mm512_dpbf16_ps((__m512)tile[row][0], factor, value0);
              tile[row][1] = (Vector)_mm512_dpbf16_ps((__m512)tile[row][1], factor, value1);
            }
          }
        }
#pragma GCC unroll 16
        for (int row = 0; row < kRows; ++row) {
          Store(rows + row * stride, tile[row][0]);
          Store(rows + row * stride + kWidth, tile[row][1]);
        }
#endif
      }
    }
  }

#if defined(__AMX_BF16__)
  // Four tiles of sums, 32 rows by 32 columns, from an array or zeros, and back.
  static void Begin(const float* from, int stride) {
    __asm__ volatile("" : : : "memory");  // nor that tiles are loaded from memory that was written before
    if (from == nullptr) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      return;
    }
    _tile_loadd(0, from, stride * 4);
    _tile_loadd(1, from + 16, stride * 4);
    _tile_loadd(2, from + 16 * stride, stride * 4);
    _tile_loadd(3, from + 16 * stride + 16, stride * 4);
  }
  static void End(float* to, int stride) {
    _tile_stored(0, to, stride * 4);
    _tile_stored(1, to + 16, stride * 4);
    _tile_stored(2, to + 16 * stride, stride * 4);
    _tile_stored(3, to + 16 * stride + 16, stride * 4);
  }
#endif
};

}  // namespace gdprnn

#endif  // __AVX512BF16__
#endif  // GDPRNN_KERNELS_HALF_H_
