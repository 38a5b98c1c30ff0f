// The whole network behind an interface without C++, so that a program can choose among libraries which were compiled
// for different processors (kernels/network.cc).
#ifndef GDPRNN_NETWORK_INTERFACE_H_
#define GDPRNN_NETWORK_INTERFACE_H_

#include <cstddef>
#include <cstdint>

extern "C" {

// Sizes and weights; letters as in src/models/swave.py.
struct GdprnnNetwork {
  int32_t num_speakers;     // C
  int32_t num_filters;      // N, even
  int32_t kernel_size;      // L, even
  int32_t hidden_size;      // H, even
  int32_t num_pairs;        // R
  int32_t chunk_frames;     // K
  int32_t normalize_level;  // 1: every mixture is brought to unit RMS, and its tracks back
  float prelu_slope;
  const float* encoder;        // [N, L]
  const float* const* blocks;  // 14 arrays of each block, as in src/kernels/block.h; along, across, along, ...
  const float* head;           // [C * N / L, N], averaged in groups of L channels
  const float* head_bias;      // [C * N / L]
};

// Separates `num_mixtures` mixtures of `num_samples` samples each; writes the tracks of each, [C, num_samples].
// `half`: products of the blocks in bfloat16. Returns 0, or something else with its reason, a text that ends with 0.
typedef int GdprnnSeparateFunction(const GdprnnNetwork* network, const float* const* mixtures, float* const* tracks,
                                   int64_t num_mixtures, int64_t num_samples, int num_threads, int half, char* reason,
                                   size_t reason_size);

// What N and H must be multiples of in bfloat16; 0: the library, the processor or the system has no such products.
typedef int GdprnnHalfMultipleFunction();

}  // extern "C"

#endif  // GDPRNN_NETWORK_INTERFACE_H_
