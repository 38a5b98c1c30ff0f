// Where a recording is cut into chunks, and how neighbours fade into each other; as src/stitching/chunks.py.
#ifndef GDPRNN_CHUNKS_H_
#define GDPRNN_CHUNKS_H_

#include <cstdint>
#include <vector>

namespace gdprnn {

// How recordings are cut: chunks of M samples of which neighbours share at least V <= M / 2; M = 0: not at all.
struct Chunking {
  int64_t chunk_samples = 0;
  int64_t overlap_samples = 0;
};

// A piece of a recording. All numbers are samples from the recording's start.
struct Chunk {
  int64_t start;
  int64_t stop;
  int64_t use_start;  // what it gives to the result, its fades included, is [use_start, use_stop)
  int64_t use_stop;
  int64_t fade;  // length of the fade with its neighbours

  int64_t num_samples() const { return stop - start; }
  int64_t num_used() const { return use_stop - use_start; }
};

// As few chunks as have the length M and share V, spread evenly; one chunk where that covers all.
//
// Spreading makes neighbours share some more than V, and no chunk is shorter than the others.
std::vector<Chunk> PlanChunks(int64_t num_samples, const Chunking& chunking);

// Weights from near 0 to near 1, half a period of a raised cosine; with their mirror image they sum to 1.
std::vector<float> FadeIn(int64_t num_samples);

}  // namespace gdprnn

#endif  // GDPRNN_CHUNKS_H_
