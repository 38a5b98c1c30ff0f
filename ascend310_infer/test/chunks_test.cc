// Where recordings are cut: a property test of the plan over awkward numbers.
#include "chunks.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <vector>

namespace gdprnn {
namespace {

// How much the samples of all chunks' used parts count in the recording, fades included.
std::vector<double> TotalWeights(const std::vector<Chunk>& chunks, int64_t num_samples) {
  std::vector<double> total(static_cast<size_t>(num_samples), 0.0);
  for (const Chunk& chunk : chunks) {
    const std::vector<float> rise = FadeIn(chunk.fade);
    for (int64_t at = chunk.use_start; at < chunk.use_stop; ++at) {
      const int64_t from_start = at - chunk.use_start;
      const int64_t to_stop = chunk.use_stop - 1 - at;
      double weight = 1.0;
      if (chunk.use_start > 0 && from_start < chunk.fade) weight *= double{rise[static_cast<size_t>(from_start)]};
      if (chunk.use_stop < num_samples && to_stop < chunk.fade) weight *= double{rise[static_cast<size_t>(to_stop)]};
      total[static_cast<size_t>(at)] += weight;
    }
  }
  return total;
}

void CheckPlan(int64_t num_samples, const Chunking& chunking) {
  CAPTURE(num_samples);
  CAPTURE(chunking.chunk_samples);
  CAPTURE(chunking.overlap_samples);
  const std::vector<Chunk> chunks = PlanChunks(num_samples, chunking);
  CHECK(chunks.size() > 1);
  CHECK(chunks.front().start == 0);
  CHECK(chunks.front().use_start == 0);
  CHECK(chunks.back().stop == num_samples);
  CHECK(chunks.back().use_stop == num_samples);
  for (const Chunk& chunk : chunks) {
    CHECK(chunk.num_samples() == chunking.chunk_samples);
    CHECK(chunk.start <= chunk.use_start);
    CHECK(chunk.use_stop <= chunk.stop);
  }
  for (size_t index = 1; index < chunks.size(); ++index) {
    CHECK(chunks[index - 1].stop - chunks[index].start >= chunking.overlap_samples);
    CHECK(chunks[index - 1].use_stop - chunks[index].use_start == chunks[index].fade);
  }
  for (const double weight : TotalWeights(chunks, num_samples)) CHECK(weight == doctest::Approx(1.0).epsilon(1e-6));
}

}  // namespace

TEST_CASE("every sample counts once, and chunks are alike and share enough") {
  for (const int64_t length : {2, 3, 4, 5, 8, 9, 15, 16, 31}) {
    for (int64_t overlap = 0; overlap <= length / 2; ++overlap) {
      for (int64_t num_samples = length + 1; num_samples < 3 * length + 4; ++num_samples) {
        CheckPlan(num_samples, {length, overlap});
      }
    }
  }
  CheckPlan(60 * 8000 + 1, {63999, 31999});
}

TEST_CASE("one chunk where that covers all") {
  for (const int64_t num_samples : {1, 99, 100}) {
    const std::vector<Chunk> chunks = PlanChunks(num_samples, {100, 50});
    REQUIRE(chunks.size() == 1);
    CHECK(chunks[0].stop == num_samples);
    CHECK(chunks[0].use_stop == num_samples);
    CHECK(chunks[0].fade == 0);
  }
  CHECK(PlanChunks(101, {100, 50}).size() == 2);
  CHECK(PlanChunks(1'000'000'000, {0, 0}).size() == 1);
}

TEST_CASE("fades rise") {
  CHECK(FadeIn(0).empty());
  CHECK(FadeIn(1) == std::vector<float>{0.5F});
  const std::vector<float> rise = FadeIn(1000);
  for (size_t index = 1; index < rise.size(); ++index) CHECK(rise[index] > rise[index - 1]);
  CHECK(rise.front() > 0);
  CHECK(rise.back() < 1);
}

}  // namespace gdprnn
