// The library that inc/network_interface.h describes, made of the operators in src/kernels of the repository. Compiled once for
// each kind of processor.
#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>

#include "half.h"
#include "network.h"
#include "network_interface.h"
#include "single.h"

namespace {

int HalfMultiple() {
#if defined(GDPRNN_HALF)
  return gdprnn::Half::IsAllowed() ? gdprnn::Half::kMultiple : 0;
#else
  return 0;
#endif
}

void Separate(const GdprnnNetwork& network, const float* const* mixtures, float* const* tracks, int64_t num_mixtures,
              int64_t num_samples, int num_threads, bool half) {
  if (!half) {
    gdprnn::NetworkRun<gdprnn::Single>(network, num_mixtures, num_samples, num_threads).Run(mixtures, tracks);
    return;
  }
#if defined(GDPRNN_HALF)
  if (HalfMultiple() > 0) {
    gdprnn::NetworkRun<gdprnn::Half>(network, num_mixtures, num_samples, num_threads).Run(mixtures, tracks);
    return;
  }
#endif
  throw std::runtime_error("no products in bfloat16 here");
}

}  // namespace

#define GDPRNN_EXPORTED __attribute__((visibility("default")))

extern "C" {

GDPRNN_EXPORTED int GdprnnSeparate(const GdprnnNetwork* network, const float* const* mixtures, float* const* tracks,
                                   int64_t num_mixtures, int64_t num_samples, int num_threads, int half, char* reason,
                                   size_t reason_size) {
  try {
    Separate(*network, mixtures, tracks, num_mixtures, num_samples, num_threads, half != 0);
    return 0;
  } catch (const std::bad_alloc&) {
    std::snprintf(reason, reason_size, "found too little memory");
  } catch (const std::exception& error) {
    std::snprintf(reason, reason_size, "%s", error.what());
  }
  return 1;
}

GDPRNN_EXPORTED int GdprnnHalfMultiple() { return HalfMultiple(); }

}  // extern "C"
