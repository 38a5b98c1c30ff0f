// Separated chunks are the whole again, whatever orders and signs they came with.
#include "stitching.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <numeric>
#include <random>

#include "failure.h"
#include "test_folder.h"
#include "tracks.h"

namespace gdprnn {
namespace {

using Eigen::Index;

Tracks Noise(Index count, Index num_samples, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, 0.1F);
  return Tracks::NullaryExpr(count, num_samples, [&](Index, Index) { return normal(random); });
}

class InMemory : public Recording {
 public:
  explicit InMemory(Tracks samples) : samples_(std::move(samples)) {}
  int64_t NumSamples() const override { return samples_.cols(); }
  void Read(int64_t start, int64_t count, float* to) const override {
    REQUIRE(start >= 0);
    REQUIRE(start + count <= NumSamples());
    std::copy_n(samples_.data() + start, count, to);
  }

 private:
  Tracks samples_;  // [1, T]
};

// What came of a recording, and how.
struct Result {
  Tracks tracks;
  std::vector<int64_t> pieces;
  std::vector<int64_t> progress;
  std::vector<size_t> batches;
  std::vector<int64_t> lengths;
};

// Separates one mixture [M] to tracks [C, M].
using SeparateOne = std::function<void(const float* mixture, Eigen::Map<Tracks> tracks)>;

Result Separated(const Recording& recording, int num_tracks, const Chunking& chunking, const SeparateOne& separate,
                 int batch_size = 1, const std::string& folder = "") {
  Result result;
  result.tracks.resize(num_tracks, recording.NumSamples());
  Index place = 0;
  SeparateInChunks(
      recording,
      [&](const std::vector<const float*>& mixtures, int64_t num_samples, const std::vector<float*>& tracks) {
        REQUIRE(mixtures.size() == tracks.size());
        result.batches.push_back(mixtures.size());
        result.lengths.push_back(num_samples);
        for (size_t each = 0; each < mixtures.size(); ++each) {
          separate(mixtures[each], Eigen::Map<Tracks>(tracks[each], num_tracks, num_samples));
        }
      },
      num_tracks, chunking, 8000, batch_size, folder,
      [&](int64_t num_samples) { result.progress.push_back(num_samples); },
      [&](const float* tracks, int64_t num_samples) {
        result.pieces.push_back(num_samples);
        REQUIRE(place + num_samples <= result.tracks.cols());
        result.tracks.middleCols(place, num_samples) = Eigen::Map<const Tracks>(tracks, num_tracks, num_samples);
        place += num_samples;
      });
  CHECK(place == recording.NumSamples());
  CHECK(std::accumulate(result.progress.begin(), result.progress.end(), int64_t{0}) == recording.NumSamples());
  return result;
}

// All tracks are the mixture, divided by their number, which is exact for 2 and 4.
void InEqualParts(const float* mixture, Eigen::Map<Tracks> tracks) {
  const Eigen::Map<const Eigen::RowVectorXf> row(mixture, tracks.cols());
  tracks = (row / static_cast<float>(tracks.rows())).replicate(tracks.rows(), 1);
}

// The sum of neighbours and the rest. Looks back one sample, so what a chunk lacks is at its very start.
void LowAndHigh(const float* mixture, Eigen::Map<Tracks> tracks) {
  for (Index at = 0; at < tracks.cols(); ++at) {
    tracks(0, at) = 0.5F * (mixture[at] + (at > 0 ? mixture[at - 1] : 0.0F));
    tracks(1, at) = mixture[at] - tracks(0, at);
  }
}

}  // namespace

TEST_CASE("one chunk is the network's own output, bit by bit") {
  for (const Chunking chunking : {Chunking{5000, 1000}, Chunking{5001, 0}, Chunking{0, 0}}) {
    const InMemory recording(Noise(1, 5000, 0));
    const Tracks given = Noise(3, 5000, 1);
    const Result result =
        Separated(recording, 3, chunking, [&](const float*, Eigen::Map<Tracks> tracks) { tracks = given; });
    CHECK(result.tracks == given);
    CHECK(result.pieces == std::vector<int64_t>{5000});
    CHECK(result.lengths == std::vector<int64_t>{5000});
  }
}

TEST_CASE("what a network passes through comes back, whatever the lengths") {
  for (const int64_t length : {2, 3, 8, 9, 31}) {
    for (int64_t overlap = 0; overlap <= length / 2; ++overlap) {
      for (const int64_t num_samples : {length + 1, 2 * length, 5 * length + 3}) {
        const Tracks mixture = Noise(1, num_samples, 2);
        const Result result = Separated(InMemory(mixture), 2, {length, overlap}, InEqualParts);
        CHECK((result.tracks.colwise().sum() - mixture.row(0)).cwiseAbs().maxCoeff() < 1e-7F);
      }
    }
  }
}

TEST_CASE("chunks give what the whole would, whatever the orders and signs") {
  const Tracks mixture = Noise(1, 100'000, 3);
  const InMemory recording(mixture);
  const Tracks whole = Separated(recording, 2, {0, 0}, LowAndHigh).tracks;
  for (const int batch_size : {1, 3, 100}) {
    std::mt19937 random(4);
    bool is_first = true;
    int turned = 0;
    const Result result = Separated(
        recording, 2, {16'000, 4000},
        [&](const float* samples, Eigen::Map<Tracks> tracks) {
          LowAndHigh(samples, tracks);
          if (std::exchange(is_first, false)) return;
          if (random() % 2 == 0) tracks.row(0).swap(tracks.row(1));
          if (random() % 2 == 0) tracks.row(0) *= -1.0F;
          if (random() % 2 == 0) tracks.row(1) *= -1.0F, ++turned;
        },
        batch_size);
    CHECK(turned > 0);
    CHECK((result.tracks - whole).cwiseAbs().maxCoeff() < 1e-6F);
    for (const int64_t length : result.lengths) CHECK(length == 16'000);
  }
}

TEST_CASE("batches are full but for the last one") {
  const InMemory recording(Noise(1, 5000, 5));
  const size_t count = PlanChunks(5000, {1000, 200}).size();
  REQUIRE(count == 6);
  CHECK(Separated(recording, 2, {1000, 200}, InEqualParts, 1).batches == std::vector<size_t>(6, 1));
  CHECK(Separated(recording, 2, {1000, 200}, InEqualParts, 4).batches == std::vector<size_t>{4, 2});
  CHECK(Separated(recording, 2, {1000, 200}, InEqualParts, 9).batches == std::vector<size_t>{6});
}

TEST_CASE("silence stays silence") {
  const Result result = Separated(InMemory(Tracks::Zero(1, 5000)), 3, {1000, 200}, InEqualParts);
  CHECK(result.tracks == Tracks::Zero(3, 5000));
}

TEST_CASE("nothing stays in the folder, also when the network fails") {
  const TestFolder folder;
  const InMemory recording(Noise(1, 5000, 6));
  int calls = 0;
  const auto fail_late = [&](const float*, Eigen::Map<Tracks> tracks) {
    tracks.setZero();
    if (++calls == 4) throw Failure(kInference, "no more");
  };
  CHECK_THROWS_AS(Separated(recording, 2, {1000, 200}, fail_late, 1, folder.path()), Failure);
  CHECK(calls == 4);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("a full disk is told") {
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit limit{20'000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &limit);
  try {
    Separated(InMemory(Noise(1, 5000, 7)), 2, {1000, 200}, InEqualParts);
    FAIL("it should not have got so far");
  } catch (const Failure& failure) {
    CHECK(failure.stage() == kOutput);
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
}

TEST_CASE("a network's numbers that are none end in a failure") {
  const auto nan = [](const float*, Eigen::Map<Tracks> tracks) { tracks.setConstant(std::nanf("")); };
  CHECK_THROWS_AS(Separated(InMemory(Noise(1, 5000, 8)), 2, {1000, 200}, nan), Failure);
}

}  // namespace gdprnn
