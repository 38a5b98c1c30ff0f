#include "index.h"

#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "test_folder.h"

namespace gdprnn {
namespace {

const char kText[] = R"({
  "format": "gdprnn inputs", "version": 1, "sample_rate": 8000, "num_speakers": 2, "data": "abc123",
  "inputs": [{"name": "one", "file": "00000.bin", "dtype": "float32", "shape": [1, 4], "num_samples": 3},
             {"name": "two", "file": "00001.bin", "dtype": "float32", "shape": [1, 2], "num_samples": 2}]})";

std::string FailureWith(const std::string& from, const std::string& to) {
  return FailureOf([&] { ParseIndex(Replaced(kText, from, to), "O/index.json"); });
}

std::string Floats(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

TEST_CASE("an index is read") {
  const Index index = ParseIndex(kText, "O/index.json");
  CHECK(index.folder == "O");
  CHECK(index.sample_rate == 8000);
  CHECK(index.num_speakers == 2);
  CHECK(index.data == "abc123");
  REQUIRE(index.entries.size() == 2);
  CHECK(index.entries[0].name == "one");
  CHECK(index.entries[0].file == "00000.bin");
  CHECK(index.entries[0].row_length == 4);
  CHECK(index.entries[0].num_samples == 3);
  CHECK(ParseIndex(kText, "index.json").folder == ".");
}

TEST_CASE("files must be plain names of one folder, each once") {
  for (const std::string file : {"../up.bin", "/etc/passwd", "a/b.bin", "..", ".", "", ".hidden", "index.json",
                                 "nul\\u0000.bin"}) {
    CAPTURE(file);
    CHECK(Contains(FailureWith("00001.bin", file), "4 O/index.json: inputs[1]: file: found"));
  }
  CHECK(FailureWith("00001.bin", "00000.bin") ==
        "4 O/index.json: found '00000.bin' twice, expected every name and file once");
  CHECK(Contains(FailureWith("\"two\"", "\"one\""), "found 'one' twice"));
  CHECK(Contains(FailureWith("00001.bin", std::string(300, 'x')), "inputs[1]: file: found"));
}

TEST_CASE("sizes and types are checked") {
  CHECK(FailureWith("\"num_samples\": 3", "\"num_samples\": 5") ==
        "4 O/index.json: inputs[0]: num_samples: found 5, expected a whole number from 1 to 4");
  CHECK(Contains(FailureWith("\"num_samples\": 3", "\"num_samples\": 0"), "num_samples: found 0"));
  CHECK(Contains(FailureWith("[1, 4]", "[4]"), "inputs[0]: shape: expected [1, T]"));
  CHECK(Contains(FailureWith("[1, 4]", "[2, 4]"), "inputs[0]: shape: expected [1, T]"));
  CHECK(Contains(FailureWith("[1, 4]", "[1, 9000000000000000]"), "inputs[0]: shape: found"));
  CHECK(Contains(FailureWith("[1, 4]", "[1, 1e3]"), "inputs[0]: shape: found"));
  CHECK(Contains(FailureWith("float32", "float64"), "inputs[0]: dtype: found \"float64\", expected 'float32'"));
  CHECK(Contains(FailureWith("\"inputs\": [", "\"inputs\": [[],"), "inputs[0]: found []"));
  CHECK(Contains(FailureWith("\"abc123\"", "\"\""), "data: found \"\", expected a text"));
  CHECK(Contains(FailureWith("\"inputs\"", "\"outputs\""), "inputs is missing"));
  CHECK(Contains(FailureOf([] {
                   ParseIndex(R"({"format": "gdprnn inputs", "version": 1, "sample_rate": 8000, "num_speakers": 2,
                                  "data": "x", "inputs": []})",
                              "index.json");
                 }),
                 "inputs: found none"));
}

TEST_CASE("the files must have the sizes that the index tells") {
  const TestFolder folder;
  const std::string path = folder.Write("index.json", kText);
  CHECK(FailureOf([&] { ReadIndex(path); }) ==
        "4 " + folder.PathOf("00000.bin") + ": cannot be read (No such file or directory)");
  folder.Write("00000.bin", Floats({1, 2, 3, 4}));
  folder.Write("00001.bin", "1234567");
  CHECK(FailureOf([&] { ReadIndex(path); }) ==
        "4 " + folder.PathOf("00001.bin") + ": found 7 bytes, expected 8 as " + path + " tells");
  folder.Write("00001.bin", Floats({1, 2}));
  CHECK(ReadIndex(path).entries.size() == 2);
}

TEST_CASE("inputs for another network are refused") {
  Description description;
  description.sample_rate = 16000;
  description.num_speakers = 2;
  const Index index = ParseIndex(kText, "O/index.json");
  CHECK(FailureOf([&] { CheckFits(index, description); }) ==
        "4 O/index.json: found inputs at 8000 Hz, expected 16000 Hz as the network takes");
  description.sample_rate = 8000;
  description.num_speakers = 3;
  CHECK(FailureOf([&] { CheckFits(index, description); }) ==
        "4 O/index.json: found inputs of 2 speakers, expected 3 as the network separates");
}

TEST_CASE("samples are read without what follows them") {
  const TestFolder folder;
  const IndexEntry entry{"one", "00000.bin", 4, 3};
  folder.Write("00000.bin", Floats({1, 2, 3, std::numeric_limits<float>::quiet_NaN()}));
  const BinRecording recording(folder.PathOf("."), entry);
  CHECK(recording.NumSamples() == 3);
  float samples[2] = {};
  recording.Read(1, 2, samples);
  CHECK(samples[0] == 2);
  CHECK(samples[1] == 3);
}

TEST_CASE("samples that are no audio are refused") {
  const TestFolder folder;
  const IndexEntry entry{"one", "00000.bin", 4, 4};
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -1e20f}) {
    folder.Write("00000.bin", Floats({1, bad, 3, bad}));
    CHECK(Contains(FailureOf([&] { BinRecording(folder.PathOf("."), entry); }),
                   "00000.bin: found 2 samples that are NaN, infinite or huge"));
  }
  folder.Write("00000.bin", Floats({1, 2}));
  CHECK(Contains(FailureOf([&] { BinRecording(folder.PathOf("."), entry); }), "cannot be read (it ends too early)"));
}

TEST_CASE("the index of the outputs tells what each file is") {
  Description description;
  description.sha256 = "5a";
  description.chunking = {1000, 250};
  const auto file = nlohmann::json::parse(OutputIndexText(ParseIndex(kText, "O/index.json"), description));
  CHECK(file["format"] == "gdprnn outputs");
  CHECK(file["version"] == 1);
  CHECK(file["data"] == "abc123");
  CHECK(file["model_sha256"] == "5a");
  CHECK(file["chunk_samples"] == 1000);
  CHECK(file["overlap_samples"] == 250);
  const auto expected = nlohmann::json::parse(
      R"({"name": "one", "file": "00000.bin", "dtype": "float32", "shape": [2, 3], "num_samples": 3})");
  CHECK(file["outputs"][0] == expected);
}

}  // namespace
}  // namespace gdprnn
