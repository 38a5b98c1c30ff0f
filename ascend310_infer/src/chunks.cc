#include "chunks.h"

#include <cmath>

namespace gdprnn {
namespace {

constexpr double kFadeShare = 0.5;  // of the shared part; the outer quarters are where a chunk lacks context
const double kPi = std::acos(-1.0);

}  // namespace

std::vector<Chunk> PlanChunks(int64_t num_samples, const Chunking& chunking) {
  const int64_t length = chunking.chunk_samples;
  const int64_t step = length - chunking.overlap_samples;
  if (length == 0 || num_samples <= length) return {{0, num_samples, 0, num_samples, 0}};
  const int64_t count = (num_samples - chunking.overlap_samples + step - 1) / step;
  // Rounds a half to the even number, as Python does.
  const double fade = std::nearbyint(static_cast<double>(chunking.overlap_samples) * kFadeShare);
  const int64_t half = static_cast<int64_t>(fade) / 2;
  std::vector<Chunk> chunks;
  for (int64_t index = 0; index < count; ++index) {
    const int64_t start = index * (num_samples - length) / (count - 1);
    chunks.push_back({start, start + length, 0, num_samples, 2 * half});
    if (index == 0) continue;
    Chunk& before = chunks[chunks.size() - 2];
    const int64_t cut = (before.stop + start) / 2;
    before.use_stop = cut + half;
    chunks.back().use_start = cut - half;
  }
  return chunks;
}

std::vector<float> FadeIn(int64_t num_samples) {
  std::vector<float> rise;
  for (int64_t index = 0; index < num_samples; ++index) {
    const double phase = (static_cast<double>(index) + 0.5) / static_cast<double>(num_samples);
    rise.push_back(static_cast<float>(0.5 - 0.5 * std::cos(kPi * phase)));
  }
  return rise;
}

}  // namespace gdprnn
