// The gated block as operators of MindSpore's interface for operators that were compiled before ("aot").
//
// Each takes arrays of float32 and their shapes, inputs first, and returns 0, or something else after a failure:
//   GatedBlock{Along,Across}          input, 14 weights -> result
//   GatedBlock{Along,Across}Training  input, 14 weights -> result, saved
//   GatedBlock{Along,Across}Gradient  gradient of the result, saved, input, 14 weights -> gradients of input and weights
// Along: the sequences run along the second axis of [outer, inner, batch, N]; across: along the first one.
#include <atomic>
#include <cstdio>
#include <exception>

#include "backward.h"
#include "block.h"
#include "forward.h"

namespace gdprnn {
namespace {

std::atomic<int> num_threads{1};

using Shapes = const int64_t* const*;

Sizes SizesOf(const int64_t* input_shape, const int64_t* hh_shape, bool along) {
  return Sizes::Of(input_shape, along, hh_shape[2]);
}

int Forward(void** arrays, Shapes shapes, bool along, bool saves) {
  const Sizes sizes = SizesOf(shapes[0], shapes[2], along);
  const int results = 1 + Weights<float>::kCount;
  RunForward(sizes, Weights<const float>::From(arrays + 1), static_cast<const float*>(arrays[0]),
             static_cast<float*>(arrays[results]), saves ? static_cast<float*>(arrays[results + 1]) : nullptr,
             num_threads);
  return 0;
}

int Gradient(void** arrays, Shapes shapes, bool along) {
  const Sizes sizes = SizesOf(shapes[2], shapes[4], along);
  const int results = 3 + Weights<float>::kCount;
  Backward(sizes, Weights<const float>::From(arrays + 3), num_threads)
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

}  // namespace
}  // namespace gdprnn

extern "C" {

void SetNumThreads(int count) { gdprnn::num_threads = count; }

// How many floats the training operator saves, for a shape as in MindSpore.
int64_t CountSaved(const int64_t* shape, int64_t hidden, int along) {
  const gdprnn::Sizes sizes = gdprnn::Sizes::Of(shape, along != 0, hidden);
  return sizes.groups() * gdprnn::Saved::FloatsOfGroup(sizes);
}

#define GDPRNN_OPERATOR(name, call)                                                                      \
  int name(int, void** arrays, int*, int64_t** shapes, const char**, void*, void*) {                     \
    return gdprnn::Guarded([&] { return call; });                                                        \
  }

GDPRNN_OPERATOR(GatedBlockAlong, gdprnn::Forward(arrays, shapes, true, false))
GDPRNN_OPERATOR(GatedBlockAcross, gdprnn::Forward(arrays, shapes, false, false))
GDPRNN_OPERATOR(GatedBlockAlongTraining, gdprnn::Forward(arrays, shapes, true, true))
GDPRNN_OPERATOR(GatedBlockAcrossTraining, gdprnn::Forward(arrays, shapes, false, true))
GDPRNN_OPERATOR(GatedBlockAlongGradient, gdprnn::Gradient(arrays, shapes, true))
GDPRNN_OPERATOR(GatedBlockAcrossGradient, gdprnn::Gradient(arrays, shapes, false))

}  // extern "C"
