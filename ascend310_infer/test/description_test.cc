#include "description.h"

#include <doctest/doctest.h>

#include "digest.h"
#include "test_folder.h"

namespace gdprnn {
namespace {

const char kText[] = R"({
  "format": "gdprnn exported network", "version": 2, "file": "net.mindir", "file_format": "MINDIR",
  "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  "sample_rate": 8000, "num_speakers": 2, "kernel_size": 8, "batch_size": 3,
  "chunk_frames": 126, "normalize_level": true, "prelu_slope": 0.25, "chunk_samples": 1000, "overlap_samples": 250,
  "inputs": [{"name": "mixture", "dtype": "float32", "shape": [3, 1000]},
             {"name": "num_samples", "dtype": "int32", "shape": [3]}],
  "outputs": [{"name": "tracks", "dtype": "float32", "shape": [3, 2, 1000]}],
  "device_target": "CPU", "program": "0.2.0"})";

std::string FailureWith(const std::string& from, const std::string& to) {
  return FailureOf([&] { ParseDescription(Replaced(kText, from, to), "net.mindir.json"); });
}

TEST_CASE("SHA-256 of a text that the standard gives") {
  CHECK(Sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("a description is read") {
  const Description description = ParseDescription(kText, "net.mindir.json");
  CHECK(description.sample_rate == 8000);
  CHECK(description.num_speakers == 2);
  CHECK(description.kernel_size == 8);
  CHECK(description.batch_size == 3);
  CHECK(description.chunk_frames == 126);
  CHECK(description.normalize_level);
  CHECK(description.prelu_slope == 0.25);
  CHECK(description.chunking.chunk_samples == 1000);
  CHECK(description.chunking.overlap_samples == 250);
  CHECK(ToText(description.inputs[0]) == "mixture float32 [3, 1000]");
  CHECK(ToText(description.outputs[0]) == "tracks float32 [3, 2, 1000]");
}

TEST_CASE("what is no description of this version is told") {
  CHECK(FailureOf([] { ParseDescription("not json", "x.json"); }) ==
        "3 x.json: found no JSON object, expected a file of 'gdprnn exported network'");
  CHECK(FailureOf([] { ParseDescription("[1]", "x.json"); }).substr(0, 9) == "3 x.json:");
  CHECK(FailureWith("gdprnn exported network", "recipe") ==
        "3 net.mindir.json: format: found \"recipe\", expected 'gdprnn exported network'");
  CHECK(Contains(FailureWith("\"version\": 2", "\"version\": 1"), "found version 1, expected 2"));
  CHECK(Contains(FailureWith("\"MINDIR\"", "\"ONNX\""), "file_format: found 'ONNX', expected 'MINDIR'"));
}

TEST_CASE("every number is checked") {
  CHECK(FailureWith("8000", "\"8000\"") ==
        "3 net.mindir.json: sample_rate: found \"8000\", expected a whole number from 100 to 10000000");
  CHECK(Contains(FailureWith("8000", "8000.5"), "sample_rate: found 8000.5"));
  CHECK(Contains(FailureWith("8000", "-1"), "sample_rate: found -1"));
  CHECK(Contains(FailureWith("8000", "18446744073709551615"), "sample_rate: found 18446744073709551615"));
  CHECK(Contains(FailureWith("126", "1"), "chunk_frames: found 1, expected a whole number from 2 to"));
  CHECK(Contains(FailureWith("true", "1"), "normalize_level: found 1, expected true or false"));
  CHECK(Contains(FailureWith("0.25", "\"steep\""), "prelu_slope: found \"steep\", expected a number"));
  CHECK(Contains(FailureWith("\"num_speakers\": 2", "\"num_speakers\": 0"), "num_speakers: found 0"));
  CHECK(Contains(FailureWith("\"sample_rate\": 8000,", ""), "sample_rate is missing"));
  CHECK(Contains(FailureWith("250", "501"), "overlap_samples: found 501, expected a whole number from 0 to 500"));
  CHECK(Contains(FailureWith("ba7816", "BA7816"), "sha256: found"));
}

TEST_CASE("a description that contradicts itself is refused") {
  CHECK(FailureWith("[3, 1000]}", "[3, 999]}") ==
        "3 net.mindir.json: inputs[0]: found mixture float32 [3, 999], expected mixture float32 [3, 1000]");
  CHECK(Contains(FailureWith("int32", "int64"), "inputs[1]: found num_samples int64 [3]"));
  CHECK(Contains(FailureWith("[3, 2, 1000]", "[3, 2, 1000, 1]"), "outputs[0]: found tracks float32 [3, 2, 1000, 1]"));
  CHECK(Contains(FailureWith("[3, 2, 1000]", "[3, 2, -1]"), "outputs[0]: shape: found [3,2,-1]"));
  CHECK(Contains(FailureWith("[{\"name\": \"tracks\"", "[7, {\"name\": \"tracks\""), "outputs[0]: found 7"));
  CHECK(Contains(FailureWith("\"batch_size\": 3", "\"batch_size\": 2"), "inputs[0]: found mixture float32 [3, 1000]"));
}

TEST_CASE("the file must have the checksum") {
  const TestFolder folder;
  const Description description = ParseDescription(kText, "net.mindir.json");
  const std::string path = folder.Write("net.mindir", "abc");
  CHECK(ReadModel(path, description) == "abc");
  folder.Write("net.mindir", "abd");
  CHECK(Contains(FailureOf([&] { ReadModel(path, description); }), "3 " + path + ": damaged, or not the network of"));
  CHECK(Contains(FailureOf([&] { ReadModel(folder.PathOf("none"), description); }), "cannot be read (No such file"));
  CHECK(Contains(FailureOf([&] { ReadModel(folder.PathOf(""), description); }), "found a folder or a device"));
  CHECK(Contains(FailureOf([&] { ReadDescription(folder.PathOf("none")); }), "none.json: cannot be read (No such file"));
}

TEST_CASE("tensors of the runtime must be those of the description") {
  const Description description = ParseDescription(kText, "net.mindir.json");
  CheckTensors("net.mindir", description.inputs, description.inputs, "inputs");
  std::vector<TensorDescription> found = description.inputs;
  found[1].shape = {4};
  CHECK(FailureOf([&] { CheckTensors("net.mindir", found, description.inputs, "inputs"); }) ==
        "3 net.mindir: found the inputs mixture float32 [3, 1000], num_samples int32 [4], expected mixture float32 "
        "[3, 1000], num_samples int32 [3] as net.mindir.json tells");
}

}  // namespace
}  // namespace gdprnn
