// Runs the C++ numerics on cases from files, for tests/infer310/test_cpp_stitching.py to compare with Python's.
//
// usage: stitching_check CASE...
//
// A CASE is a folder with a case.json; the answers are written to its result.json. Every key of case.json asks for
// something, with a list of cases each: see the table at the end.

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "alignment.h"
#include "assignment.h"
#include "chunks.h"
#include "failure.h"
#include "gains.h"
#include "order_search.h"
#include "stitching.h"
#include "voiceprint.h"

namespace gdprnn {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using nlohmann::json;

MatrixXd ToMatrix(const json& rows) {
  MatrixXd matrix(static_cast<Index>(rows.size()), rows.empty() ? 0 : static_cast<Index>(rows[0].size()));
  for (Index row = 0; row < matrix.rows(); ++row) {
    for (Index column = 0; column < matrix.cols(); ++column) {
      matrix(row, column) = rows[static_cast<size_t>(row)][static_cast<size_t>(column)].get<double>();
    }
  }
  return matrix;
}

VectorXd ToVector(const json& numbers) {
  const auto values = numbers.get<std::vector<double>>();
  return Eigen::Map<const VectorXd>(values.data(), static_cast<Index>(values.size()));
}

json FromMatrix(const MatrixXd& matrix) {
  json rows = json::array();
  for (Index row = 0; row < matrix.rows(); ++row) {
    const VectorXd values = matrix.row(row);
    rows.push_back(std::vector<double>(values.begin(), values.end()));
  }
  return rows;
}

json FromVector(const VectorXd& values) { return std::vector<double>(values.begin(), values.end()); }

std::vector<float> ReadSamples(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw Failure(kInput, path + ": found no such file");
  std::vector<float> samples(static_cast<size_t>(file.tellg()) / sizeof(float));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(samples.data()), static_cast<std::streamsize>(samples.size() * sizeof(float)));
  return samples;
}

class SamplesInMemory : public Recording {
 public:
  explicit SamplesInMemory(std::vector<float> samples) : samples_(std::move(samples)) {}
  int64_t NumSamples() const override { return static_cast<int64_t>(samples_.size()); }
  void Read(int64_t start, int64_t count, float* to) const override {
    std::copy_n(samples_.data() + start, count, to);
  }
  const float* at(int64_t place) const { return samples_.data() + place; }

 private:
  std::vector<float> samples_;
};

json Assigned(const json& scores, const std::string&) { return AssignMost(ToMatrix(scores)); }

json Gains(const json& one, const std::string&) {
  return GainsFromProducts(ToMatrix(one["track_products"]), ToVector(one["mixture_products"]));
}

// [T, M, V] -> the chunks, [start, stop, use_start, use_stop, fade] each.
json Planned(const json& one, const std::string&) {
  json plan = json::array();
  for (const Chunk& chunk : PlanChunks(one[0], {one[1], one[2]})) {
    plan.push_back({chunk.start, chunk.stop, chunk.use_start, chunk.use_stop, chunk.fade});
  }
  return plan;
}

json Faded(const json& num_samples, const std::string&) { return FadeIn(num_samples); }

// [sample rate, samples of a frame] -> mel bands.
json Bands(const json& one, const std::string&) { return FromMatrix(MelBands(one[0], one[1])); }

json Searched(const json& one, const std::string&) {
  std::vector<MatrixXd> agreements;
  for (const json& matrix : one["agreements"]) agreements.push_back(ToMatrix(matrix));
  std::vector<Voices> voices;
  for (const json& voice : one["voices"]) voices.push_back({ToVector(voice["precisions"]), ToMatrix(voice["means"])});
  return Search(agreements, voices);
}

// What is found of a recording on the way.
json Aligned(const std::vector<Chunk>& chunks, const json& one, const SamplesInMemory& recording, float* tracks) {
  Aligner aligner(one["sample_rate"], one["mean_power"]);
  const int64_t num_tracks = one["num_tracks"];
  for (const Chunk& chunk : chunks) {
    const Eigen::Map<const Tracks> separated(tracks, num_tracks, chunk.num_samples());
    aligner.Add(chunk.start, recording.at(chunk.start), separated, chunk.use_start - chunk.start,
                chunk.use_stop - chunk.start);
    tracks += separated.size();
  }
  json result;
  const Evidence evidence = aligner.Gathered();
  for (const MatrixXd& agreement : evidence.agreements) result["agreements"].push_back(FromMatrix(agreement));
  for (const Voices& voice : evidence.voices) {
    result["precisions"].push_back(FromVector(voice.precisions));
    result["means"].push_back(FromMatrix(voice.means));
  }
  const Alignment alignment = aligner.Result();
  result["orders"] = alignment.orders;
  result["signs"] = alignment.signs;
  return result;
}

// The chunks' tracks [chunks, C, M] are given in a file, in place of a network. The stitched tracks, in the pieces
// [C, t] that came, are written to another.
json Stitched(const json& one, const std::string& folder) {
  const SamplesInMemory recording(ReadSamples(folder + "/" + one["recording"].get<std::string>()));
  std::vector<float> separated = ReadSamples(folder + "/" + one["separated"].get<std::string>());
  const Chunking chunking{one["chunk_samples"], one["overlap_samples"]};
  const int num_tracks = one["num_tracks"];
  json result;
  const std::vector<Chunk> chunks = PlanChunks(recording.NumSamples(), chunking);
  if (chunks.size() > 1) result = Aligned(chunks, one, recording, separated.data());
  std::ofstream stitched(folder + "/" + one["stitched"].get<std::string>(), std::ios::binary);
  const float* next = separated.data();
  SeparateInChunks(
      recording,
      [&](const std::vector<const float*>& mixtures, int64_t num_samples, const std::vector<float*>& tracks) {
        result["batches"].push_back(mixtures.size());
        for (float* each : tracks) {
          std::copy_n(next, num_tracks * num_samples, each);
          next += num_tracks * num_samples;
        }
      },
      num_tracks, chunking, one["sample_rate"], one["batch_size"], folder,
      [&](int64_t num_samples) { result["progress"].push_back(num_samples); },
      [&](const float* tracks, int64_t num_samples) {
        result["pieces"].push_back(num_samples);
        stitched.write(reinterpret_cast<const char*>(tracks), num_tracks * num_samples * int64_t{sizeof(float)});
      });
  return result;
}

constexpr struct {
  const char* key;
  json (*answer)(const json& one, const std::string& folder);
} kQuestions[] = {{"assignments", Assigned}, {"gains", Gains},       {"plans", Planned},       {"fades", Faded},
                  {"mel_bands", Bands},      {"searches", Searched}, {"recordings", Stitched}};

void Answer(const std::string& folder) {
  const json asked = json::parse(std::ifstream(folder + "/case.json"));
  json result;
  for (const auto& question : kQuestions) {
    if (!asked.contains(question.key)) continue;
    for (const json& one : asked[question.key]) result[question.key].push_back(question.answer(one, folder));
  }
  std::ofstream(folder + "/result.json") << result;
}

}  // namespace
}  // namespace gdprnn

int main(int argc, char** argv) {
  try {
    for (int place = 1; place < argc; ++place) gdprnn::Answer(argv[place]);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
