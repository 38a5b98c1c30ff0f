#include "stitching.h"

#include <algorithm>

#include "alignment.h"
#include "sample_file.h"
#include "tracks.h"

namespace gdprnn {
namespace {

using Eigen::Index;
using Chunks = std::vector<Chunk>;
using Sink = std::function<void(const float*, int64_t)>;
using OnChunk = std::function<void(const Chunk& chunk, const float* mixture, const Tracks& tracks)>;

constexpr int64_t kBlock = int64_t{1} << 20;  // samples

// Mean square of the samples.
double MeanPower(const Recording& recording) {
  const int64_t num_samples = recording.NumSamples();
  Eigen::ArrayXf samples(std::min(kBlock, num_samples));
  double energy = 0.0;
  for (int64_t at = 0; at < num_samples; at += kBlock) {
    const int64_t count = std::min(kBlock, num_samples - at);
    recording.Read(at, count, samples.data());
    energy += samples.head(count).cast<double>().square().sum();
  }
  return energy / static_cast<double>(num_samples);
}

// Chunks go through the network together, and come out one after the other with their mixture [M] and tracks [C, M].
class BatchSeparator {
 public:
  BatchSeparator(const Recording& recording, const SeparateBatch& separate, int num_tracks, int64_t chunk_samples,
                 size_t batch_size)
      : recording_(recording),
        separate_(separate),
        chunk_samples_(chunk_samples),
        mixtures_(batch_size, std::vector<float>(static_cast<size_t>(chunk_samples))),
        tracks_(batch_size, Tracks(num_tracks, chunk_samples)) {}

  void ForEach(const Chunks& chunks, const OnChunk& on_chunk) {
    for (size_t first = 0; first < chunks.size(); first += mixtures_.size()) {
      const size_t count = std::min(mixtures_.size(), chunks.size() - first);
      Separate(&chunks[first], count);
      for (size_t place = 0; place < count; ++place) {
        on_chunk(chunks[first + place], mixtures_[place].data(), tracks_[place]);
      }
    }
  }

 private:
  void Separate(const Chunk* chunks, size_t count) {
    std::vector<const float*> mixtures;
    std::vector<float*> tracks;
    for (size_t place = 0; place < count; ++place) {
      recording_.Read(chunks[place].start, chunk_samples_, mixtures_[place].data());
      mixtures.push_back(mixtures_[place].data());
      tracks.push_back(tracks_[place].data());
    }
    separate_(mixtures, chunk_samples_, tracks);
  }

  const Recording& recording_;
  const SeparateBatch& separate_;
  int64_t chunk_samples_;
  std::vector<std::vector<float>> mixtures_;  // [M] each
  std::vector<Tracks> tracks_;                // [C, M] each
};

// The chunk's used part, whose tracks lie one after the other in `scratch`, in the recording's order and upright.
Tracks ReadUsed(const SampleFile& scratch, int64_t place, int64_t num_used, const Order& order, const Signs& signs) {
  Tracks tracks(static_cast<Index>(order.size()), num_used);
  for (size_t track = 0; track < order.size(); ++track) {
    const auto row = static_cast<Index>(track);
    scratch.Read(place + order[track] * num_used, num_used, tracks.row(row).data());
    tracks.row(row) *= signs[track];
  }
  return tracks;
}

// The end of the chunk before fades out while the chunk fades in.
void FadeOver(const Tracks& tail, Tracks* tracks) {
  const std::vector<float> weights = FadeIn(tail.cols());
  const Eigen::Map<const Eigen::Array<float, 1, Eigen::Dynamic>> rise(weights.data(), tail.cols());
  for (Index track = 0; track < tail.rows(); ++track) {
    auto start = tracks->row(track).head(tail.cols()).array();
    start = rise * start + (1 - rise) * tail.row(track).array();
  }
}

// Consecutive pieces [C, t] of the tracks, from the chunks' used parts one after the other in `scratch`.
void Stitch(const Chunks& chunks, const SampleFile& scratch, int num_tracks, const Alignment& alignment,
            const Sink& sink) {
  int64_t place = 0;
  Tracks tail(num_tracks, 0);  // the end of the chunk before, which fades out
  for (size_t index = 0; index < chunks.size(); ++index) {
    const Chunk& chunk = chunks[index];
    Tracks tracks = ReadUsed(scratch, place, chunk.num_used(), alignment.orders[index], alignment.signs[index]);
    place += tracks.size();
    FadeOver(tail, &tracks);
    const int64_t keep = chunk.num_used() - (index + 1 < chunks.size() ? chunk.fade : 0);
    const Tracks piece = tracks.leftCols(keep);
    tail = tracks.rightCols(chunk.num_used() - keep);
    sink(piece.data(), keep);
  }
}

void SeparateWhole(const Recording& recording, const SeparateBatch& separate, int num_tracks,
                   const std::function<void(int64_t)>& on_progress, const Sink& sink) {
  const int64_t num_samples = recording.NumSamples();
  std::vector<float> mixture(static_cast<size_t>(num_samples));
  Tracks tracks(num_tracks, num_samples);
  recording.Read(0, num_samples, mixture.data());
  separate({mixture.data()}, num_samples, {tracks.data()});
  on_progress(num_samples);
  sink(tracks.data(), num_samples);
}

}  // namespace

void SeparateInChunks(const Recording& recording, const SeparateBatch& separate, int num_tracks,
                      const Chunking& chunking, int sample_rate, int batch_size, const std::string& scratch_dir,
                      const std::function<void(int64_t)>& on_progress, const Sink& sink) {
  const Chunks chunks = PlanChunks(recording.NumSamples(), chunking);
  if (chunks.size() == 1) return SeparateWhole(recording, separate, num_tracks, on_progress, sink);
  SampleFile scratch(scratch_dir);
  Aligner aligner(sample_rate, MeanPower(recording));
  const size_t together = std::min(static_cast<size_t>(batch_size), chunks.size());
  BatchSeparator separator(recording, separate, num_tracks, chunking.chunk_samples, together);
  separator.ForEach(chunks, [&](const Chunk& chunk, const float* mixture, const Tracks& tracks) {
    const int64_t use_start = chunk.use_start - chunk.start;
    aligner.Add(chunk.start, mixture, tracks, use_start, use_start + chunk.num_used());
    for (Index track = 0; track < tracks.rows(); ++track) {
      scratch.Append(tracks.row(track).data() + use_start, chunk.num_used());
    }
    on_progress(chunk.num_used() - (chunk.use_stop < recording.NumSamples() ? chunk.fade : 0));
  });
  Stitch(chunks, scratch, num_tracks, aligner.Result(), sink);
}

}  // namespace gdprnn
