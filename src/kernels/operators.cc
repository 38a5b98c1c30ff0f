// The gated block as operators of MindSpore's interface for operators that were compiled before ("aot").
//
// Each takes arrays of float32 and their shapes, inputs first, and returns 0, or something else after a failure:
//   GatedBlock{Along,Across}          input, 14 weights -> result
//   GatedBlock{Along,Across}Training  input, 14 weights -> result, saved
//   GatedBlock{Along,Across}Gradient  gradient of the result, saved, input, 14 weights -> gradients of input and weights
// Along: the sequences run along the second axis of [outer, inner, batch, N]; across: along the first one. With "Half"
// after their names they round what goes into products to bfloat16.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <vector>

#include "backward.h"
#include "block.h"
#include "forward.h"
#include "half.h"
#include "single.h"

namespace gdprnn {
namespace {

std::atomic<int> num_threads{1};

using Shapes = const int64_t* const*;

template <typename Math>
Sizes SizesOf(const int64_t* input_shape, int64_t hidden, bool along) {
  return Sizes::Of(input_shape, along, hidden, Math::kRows);
}

template <typename Math>
int RunForward(void** arrays, Shapes shapes, bool along, bool saves) {
  if (!Math::IsAllowed()) throw std::runtime_error("the system does not allow this processor's tiles");
  const int results = 1 + Weights<float>::kCount;
  float* saved = saves ? static_cast<float*>(arrays[results + 1]) : nullptr;
  Forward<Math>(SizesOf<Math>(shapes[0], shapes[2][2], along), Weights<const float>::From(arrays + 1), saved,
                num_threads)
      .Run(static_cast<const float*>(arrays[0]), static_cast<float*>(arrays[results]));
  return 0;
}

template <typename Math>
int RunGradient(void** arrays, Shapes shapes, bool along) {
  if (!Math::IsAllowed()) throw std::runtime_error("the system does not allow this processor's tiles");
  const int results = 3 + Weights<float>::kCount;
  Backward<Math>(SizesOf<Math>(shapes[2], shapes[4][2], along), Weights<const float>::From(arrays + 3), num_threads)
      .Run(static_cast<const float*>(arrays[0]), static_cast<float*>(arrays[1]), static_cast<const float*>(arrays[2]),
           static_cast<float*>(arrays[results]), Weights<float>::From(arrays + results + 1));
  return 0;
}

// No exception may reach the caller.
template <typename Work>
int Guarded(const Work& work) {
  try {
    return work();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "the gated block's operator failed: %s\n", error.what());
    return 1;
  }
}

template <typename Math>
int64_t SavedFloats(const int64_t* shape, int64_t hidden, bool along) {
  const Sizes sizes = SizesOf<Math>(shape, hidden, along);
  return sizes.groups() * Saved<Math>::ElementsOfGroup(sizes);
}

}  // namespace
}  // namespace gdprnn

#define GDPRNN_OPERATOR(name, call)                                                  \
  int name(int, void** arrays, int*, int64_t** shapes, const char**, void*, void*) { \
    return gdprnn::Guarded([&] { return gdprnn::call; });                            \
  }
// MindSpore asks a function with this name for the result's shape where lengths are not known beforehand.
#define GDPRNN_SHAPE(name)                                                               \
  std::vector<int64_t> name##InferShape(int* num_axes, int64_t** shapes, const void*) { \
    return std::vector<int64_t>(shapes[0], shapes[0] + num_axes[0]);                     \
  }
#define GDPRNN_OPERATORS(Math, suffix)                                                        \
  GDPRNN_SHAPE(GatedBlockAlong##suffix)                                                       \
  GDPRNN_SHAPE(GatedBlockAcross##suffix)                                                      \
  GDPRNN_OPERATOR(GatedBlockAlong##suffix, RunForward<gdprnn::Math>(arrays, shapes, true, false))     \
  GDPRNN_OPERATOR(GatedBlockAcross##suffix, RunForward<gdprnn::Math>(arrays, shapes, false, false))   \
  GDPRNN_OPERATOR(GatedBlockAlongTraining##suffix, RunForward<gdprnn::Math>(arrays, shapes, true, true))   \
  GDPRNN_OPERATOR(GatedBlockAcrossTraining##suffix, RunForward<gdprnn::Math>(arrays, shapes, false, true)) \
  GDPRNN_OPERATOR(GatedBlockAlongGradient##suffix, RunGradient<gdprnn::Math>(arrays, shapes, true))   \
  GDPRNN_OPERATOR(GatedBlockAcrossGradient##suffix, RunGradient<gdprnn::Math>(arrays, shapes, false))

#if defined(__clang__)  // MindSpore calls the functions for shapes by plain names, though they return a vector
#pragma clang diagnostic ignored "-Wreturn-type-c-linkage"
#endif

extern "C" {

GDPRNN_OPERATORS(Single, )

void SetNumThreads(int count) { gdprnn::num_threads = std::max(1, count); }

#if defined(GDPRNN_HALF)

GDPRNN_OPERATORS(Half, Half)

// What N and H must be multiples of in bfloat16; 0: this processor has no products in bfloat16.
int HalfMultiple() { return gdprnn::Half::IsAllowed() ? gdprnn::Half::kMultiple : 0; }

// How many floats the training operator saves, for a shape as in MindSpore.
int64_t CountSaved(const int64_t* shape, int64_t hidden, int along, int half) {
  return half ? gdprnn::SavedFloats<gdprnn::Half>(shape, hidden, along != 0)
              : gdprnn::SavedFloats<gdprnn::Single>(shape, hidden, along != 0);
}

#else

int HalfMultiple() { return 0; }

int64_t CountSaved(const int64_t* shape, int64_t hidden, int along, int) {
  return gdprnn::SavedFloats<gdprnn::Single>(shape, hidden, along != 0);
}

#endif

}  // extern "C"
