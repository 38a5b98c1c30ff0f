#include "description.h"

#include <algorithm>

#include "bounds.h"
#include "digest.h"
#include "failure.h"
#include "file_bytes.h"
#include "strict_json.h"

namespace gdprnn {
namespace {

constexpr char kFormat[] = "gdprnn exported network";
constexpr int kVersion = 2;
constexpr int64_t kMostBytes = 1 << 20;
constexpr int64_t kLargestSize = int64_t{1} << 31;  // of one dimension; num_samples are 32-bit
constexpr int64_t kMostChunkFrames = int64_t{1} << 24;
constexpr int64_t kMostValues = int64_t{1} << 33;   // of one tensor

std::vector<TensorDescription> ReadTensors(const StrictJson& file, const char* key) {
  std::vector<TensorDescription> tensors;
  for (const StrictJson& each : file.Objects(key)) {
    tensors.push_back({each.Text("name"), each.Text("dtype"), each.Shape("shape", kLargestSize)});
  }
  return tensors;
}

void CheckLayout(const StrictJson& file, const std::vector<TensorDescription>& found,
                 const std::vector<TensorDescription>& expected, const std::string& key) {
  for (size_t place = 0; place < std::max(found.size(), expected.size()); ++place) {
    const std::string is = place < found.size() ? ToText(found[place]) : "nothing";
    const std::string shall_be = place < expected.size() ? ToText(expected[place]) : "nothing";
    if (is != shall_be) {
      file.Refuse(key + "[" + std::to_string(place) + "]: found " + Shown(is) + ", expected " + shall_be);
    }
  }
}

void CheckSha256(const StrictJson& file, const std::string& text) {
  const bool is_hexadecimal = text.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (text.size() != 64 || !is_hexadecimal) {
    file.Refuse("sha256: found '" + Shown(text) + "', expected 64 hexadecimal digits");
  }
}

}  // namespace

bool operator==(const TensorDescription& left, const TensorDescription& right) {
  return left.name == right.name && left.dtype == right.dtype && left.shape == right.shape;
}

std::string ToText(const TensorDescription& tensor) {
  std::string text = tensor.name + " " + tensor.dtype + " [";
  for (size_t place = 0; place < tensor.shape.size(); ++place) {
    text += (place > 0 ? ", " : "") + std::to_string(tensor.shape[place]);
  }
  return text + "]";
}

Description ParseDescription(const std::string& text, const std::string& name) {
  const StrictJson file = StrictJson::Parse(text, name, kModel, kFormat, kVersion);
  const std::string file_format = file.Text("file_format");
  if (file_format != "MINDIR" && file_format != "MS") {
    file.Refuse("file_format: found '" + Shown(file_format) + "', expected 'MINDIR', or 'MS' of gdprnn_convert");
  }
  Description description;
  description.sha256 = file.Text("sha256");
  CheckSha256(file, description.sha256);
  description.sample_rate = static_cast<int>(file.Integer("sample_rate", kLowestRate, kHighestRate));
  description.num_speakers = static_cast<int>(file.Integer("num_speakers", 1, kMostSpeakers));
  description.batch_size = static_cast<int>(file.Integer("batch_size", 1, kLargestBatch));
  const int64_t chunk_samples = file.Integer("chunk_samples", 1, kLargestSize - 1);
  description.chunking = {chunk_samples, file.Integer("overlap_samples", 0, chunk_samples / 2)};
  description.kernel_size = static_cast<int>(file.Integer("kernel_size", 1, chunk_samples));
  description.chunk_frames = static_cast<int>(file.Integer("chunk_frames", 2, kMostChunkFrames));
  description.normalize_level = file.Boolean("normalize_level");
  description.prelu_slope = file.Number("prelu_slope");
  if (chunk_samples * description.batch_size * description.num_speakers > kMostValues) {
    file.Refuse("chunk_samples, batch_size and num_speakers: found a network with more than " +
                std::to_string(kMostValues) + " values in its output");
  }
  description.inputs = ReadTensors(file, "inputs");
  description.outputs = ReadTensors(file, "outputs");
  const int64_t batch = description.batch_size;
  CheckLayout(file, description.inputs,
              {{"mixture", "float32", {batch, chunk_samples}}, {"num_samples", "int32", {batch}}}, "inputs");
  CheckLayout(file, description.outputs, {{"tracks", "float32", {batch, description.num_speakers, chunk_samples}}},
              "outputs");
  return description;
}

Description ReadDescription(const std::string& model_path) {
  const std::string path = model_path + ".json";
  return ParseDescription(ReadFile(path, kMostBytes, kModel), path);
}

std::string ReadModel(const std::string& path, const Description& description) {
  std::string bytes = ReadFile(path, kMostModelBytes, kModel);
  const std::string found = Sha256(bytes);
  if (found != description.sha256) {
    throw Failure(kModel, path + ": damaged, or not the network of " + path + ".json: found SHA-256 " +
                              found.substr(0, 16) + "..., expected " + description.sha256.substr(0, 16) + "...");
  }
  return bytes;
}

void CheckTensors(const std::string& model_path, const std::vector<TensorDescription>& found,
                  const std::vector<TensorDescription>& expected, const char* kind) {
  if (found == expected) return;
  std::string texts[2];
  const std::vector<TensorDescription>* lists[2] = {&found, &expected};
  for (int place = 0; place < 2; ++place) {
    for (const TensorDescription& tensor : *lists[place]) {
      texts[place] += (texts[place].empty() ? "" : ", ") + ToText(tensor);
    }
  }
  throw Failure(kModel, model_path + ": found the " + kind + " " + texts[0] + ", expected " + texts[1] + " as " +
                            model_path + ".json tells");
}

}  // namespace gdprnn
