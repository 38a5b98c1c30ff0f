// The network's inference: encoder, gated blocks along and across half-overlapping chunks, head and overlap-add. The same
// as src/models/swave.py, whose letters these are: T samples, F frames, S chunks of K frames, B mixtures.
#ifndef GDPRNN_NETWORK_RUN_H_
#define GDPRNN_NETWORK_RUN_H_

#include <algorithm>
#include <cmath>
#include <vector>

#include "block.h"
#include "forward.h"
#include "network_interface.h"
#include "single.h"
#include "team.h"

namespace gdprnn {

// Where the frames of mixtures of one length lie in the chunks [S, K, B, N]; as src/models/chunks.py.
struct Layout {
  int64_t batch;
  int64_t samples;
  int64_t hop;     // L / 2
  int64_t frames;  // F
  int64_t chunk;   // K
  int64_t chunks;  // S, even
  int64_t channels;

  static Layout Of(const GdprnnNetwork& network, int64_t batch, int64_t samples) {
    Layout layout{};
    layout.batch = batch;
    layout.samples = samples;
    layout.hop = network.kernel_size / 2;
    layout.frames = std::max(samples, int64_t{network.kernel_size}) / layout.hop - 1;
    layout.chunk = network.chunk_frames;
    layout.chunks = 2 * ((layout.frames + layout.chunk / 2) / layout.chunk + 1);
    layout.channels = network.num_filters;
    return layout;
  }
  int64_t size() const { return chunks * chunk * batch * channels; }
  // Every frame is in two chunks: comb 0 starts K / 2 frames before the first one, comb 1 with it.
  int64_t OffsetOf(int64_t frame, int comb, int64_t mixture) const {
    const int64_t place = comb == 0 ? frame + chunk / 2 : frame;
    return (((2 * (place / chunk) + comb) * chunk + place % chunk) * batch + mixture) * channels;
  }
  // Tiles of kLanes frames of one mixture.
  int64_t tiles() const { return (frames + kLanes - 1) / kLanes; }
};

template <typename Math>
class NetworkRun {
 public:
  NetworkRun(const GdprnnNetwork& network, int64_t batch, int64_t samples, int num_threads)
      : network_(network), layout_(Layout::Of(network, batch, samples)), num_threads_(num_threads),
        frame_values_(network.num_speakers * (network.num_filters / network.kernel_size)),
        encoder_(network.num_filters, network.kernel_size, 0,
                 [&](int row, int column) { return network.encoder[row * network.kernel_size + column]; }),
        head_(frame_values_, network.num_filters, 0,
              [&](int row, int column) { return network.head[static_cast<int64_t>(row) * network.num_filters + column]; }),
        head_bias_(Spread({network.head_bias, network.head_bias + frame_values_},
                          RoundUp(frame_values_, Single::kRows))),
        levels_(static_cast<size_t>(batch), 1.0f), chunks_(static_cast<size_t>(layout_.size())),
        scratch_floats_(RoundUp(std::max({network.num_filters, network.kernel_size, frame_values_}), Single::kRows) *
                        kLanes) {}

  void Run(const float* const* mixtures, float* const* tracks) {
    if (network_.normalize_level) SetLevels(mixtures);
    Encode(mixtures);
    for (int block = 0; block < 2 * network_.num_pairs; ++block) RunBlock(block);
    Decode(tracks);
  }

 private:
  // 1e-8 keeps the level of a silent mixture from being divided by zero.
  void SetLevels(const float* const* mixtures) {
    for (int64_t mixture = 0; mixture < layout_.batch; ++mixture) {
      double energy = 0;
      for (int64_t place = 0; place < layout_.samples; ++place) {
        energy += static_cast<double>(mixtures[mixture][place]) * mixtures[mixture][place];
      }
      levels_[mixture] = static_cast<float>(std::sqrt(energy / static_cast<double>(layout_.samples))) + 1e-8f;
    }
  }

  // work(mixture, first frame, scratch of three arrays) for every tile, by all threads.
  template <typename Work>
  void ForTiles(const Work& work) {
    Team team(num_threads_);
    std::vector<float> scratch(static_cast<size_t>(3) * scratch_floats_ * num_threads_);
    team.Run([&](int member) {
      float* own = scratch.data() + static_cast<int64_t>(3) * scratch_floats_ * member;
      const Range tiles = team.Part(member, static_cast<int>(layout_.batch * layout_.tiles()));
      for (int tile = tiles.begin; tile < tiles.end; ++tile) {
        work(tile / layout_.tiles(), tile % layout_.tiles() * kLanes, own);
      }
    });
  }
  float* ArrayOf(float* own, int number) const { return own + static_cast<int64_t>(number) * scratch_floats_; }

  // Rows of a tile in one of the combs; nullptr after the last frame.
  void RowsOfTile(int64_t mixture, int64_t first, int comb, float* rows[kLanes]) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const bool is_there = first + lane < layout_.frames;
      rows[lane] = is_there ? chunks_.data() + layout_.OffsetOf(first + lane, comb, mixture) : nullptr;
    }
  }

  void Encode(const float* const* mixtures) {
    ForTiles([&](int64_t mixture, int64_t first, float* own) {
      float* windows = ArrayOf(own, 0);  // [L][kLanes]
      for (int sample = 0; sample < network_.kernel_size; ++sample) {
        for (int lane = 0; lane < kLanes; ++lane) {
          const int64_t place = (first + lane) * layout_.hop + sample;
          windows[sample * kLanes + lane] =
              place < layout_.samples ? mixtures[mixture][place] / levels_[mixture] : 0.0f;
        }
      }
      float* frames = ArrayOf(own, 1);  // [N][kLanes]
      encoder_.Multiply(windows, nullptr, nullptr, frames);
      for (int place = 0; place < network_.num_filters * kLanes; place += kWidth) {
        const Vector values = Load(frames + place);
        Store(frames + place, values > Vector{} ? values : Vector{});
      }
      for (int comb = 0; comb < 2; ++comb) {
        float* rows[kLanes];
        RowsOfTile(mixture, first, comb, rows);
        FromColumns(frames, network_.num_filters, rows);
      }
    });
  }

  // In place: a block reads all steps of a sequence before it writes them, and no other sequence's.
  void RunBlock(int block) {
    const int64_t shape[] = {layout_.chunks, layout_.chunk, layout_.batch, layout_.channels};
    const float* const* arrays = network_.blocks + static_cast<int64_t>(block) * Weights<float>::kCount;
    const auto weights = Weights<const float>::From(arrays);
    Forward<Math>(Sizes::Of(shape, block % 2 == 0, network_.hidden_size, Math::kRows), weights, nullptr, num_threads_)
        .Run(chunks_.data(), chunks_.data());
  }

  // A frame is the mean of what the head makes of its two places; the head is linear after the PReLU.
  void Decode(float* const* tracks) {
    std::vector<float> frames(static_cast<size_t>(layout_.batch * layout_.frames * frame_values_));  // [B, F, C * N / L]
    ForTiles([&](int64_t mixture, int64_t first, float* own) {
      float* sums = ArrayOf(own, 0);
      for (int comb = 0; comb < 2; ++comb) {
        float* rows[kLanes];
        RowsOfTile(mixture, first, comb, rows);
        float* columns = ArrayOf(own, comb);
        ToColumns(rows, network_.num_filters, columns);
        for (int place = 0; place < network_.num_filters * kLanes; place += kWidth) {
          const Vector values = Load(columns + place);
          const Vector active = 0.5f * (values > Vector{} ? values : network_.prelu_slope * values);
          Store(sums + place, comb == 0 ? active : Load(sums + place) + active);
        }
      }
      float* decoded = ArrayOf(own, 2);
      head_.Multiply(sums, nullptr, head_bias_.data(), decoded);
      float* rows[kLanes];
      for (int lane = 0; lane < kLanes; ++lane) {
        const bool is_there = first + lane < layout_.frames;
        rows[lane] = is_there ? frames.data() + (mixture * layout_.frames + first + lane) * frame_values_ : nullptr;
      }
      FromColumns(decoded, frame_values_, rows);
    });
    for (int64_t mixture = 0; mixture < layout_.batch; ++mixture) {
      OverlapAdd(frames.data() + mixture * layout_.frames * frame_values_, levels_[mixture], tracks[mixture]);
    }
  }

  // frames [F, C * W] of W samples, a hop apart -> tracks [C, T].
  void OverlapAdd(const float* frames, float level, float* tracks) const {
    const int64_t width = network_.num_filters / network_.kernel_size;
    std::fill_n(tracks, network_.num_speakers * layout_.samples, 0.0f);
    for (int64_t frame = 0; frame < layout_.frames; ++frame, frames += frame_values_) {
      const int64_t begin = frame * layout_.hop;
      const int64_t count = std::min(width, layout_.samples - begin);
      for (int64_t speaker = 0; speaker < network_.num_speakers; ++speaker) {
        float* to = tracks + speaker * layout_.samples + begin;
        for (int64_t place = 0; place < count; ++place) to[place] += level * frames[speaker * width + place];
      }
    }
  }

  GdprnnNetwork network_;
  Layout layout_;
  int num_threads_;
  int frame_values_;  // of all speakers: C * N / L
  Single::Panels encoder_;
  Single::Panels head_;
  std::vector<float> head_bias_;
  std::vector<float> levels_;
  std::vector<float> chunks_;  // [S, K, B, N], zeros where there is no frame
  int scratch_floats_;
};

}  // namespace gdprnn

#endif  // GDPRNN_NETWORK_RUN_H_
