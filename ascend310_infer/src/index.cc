#include "index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <set>

#include "bounds.h"
#include "digest.h"
#include "failure.h"
#include "file_bytes.h"
#include "remarks.h"
#include "strict_json.h"
#include "text.h"
#include "whole_io.h"

namespace gdprnn {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the .bin files are read and written as they lie in memory");

constexpr char kFormat[] = "gdprnn inputs";
constexpr char kOutputFormat[] = "gdprnn outputs";
constexpr int kVersion = 1;
constexpr int64_t kMostBytes = 1 << 26;
constexpr int64_t kMostSamples = int64_t{1} << 40;
constexpr size_t kLongestFileName = 255;
constexpr char kEnding[] = ".bin";
constexpr int64_t kBlockSamples = 1 << 16;
constexpr int64_t kSampleBytes = sizeof(float);

// Hidden names are those of this program's own files; those that do not end in .bin are of other files, which an output
// of the same name would overwrite.
void CheckFileName(const StrictJson& object, const std::string& file) {
  const bool is_plain = file.find('/') == std::string::npos && file.find('\0') == std::string::npos;
  const bool is_bin = std::filesystem::path(file).extension() == kEnding;
  if (file.size() > kLongestFileName || !is_plain || !is_bin || file[0] == '.') {
    object.Refuse("file: found '" + Shown(file) + "', expected NAME.bin without a folder");
  }
}

IndexEntry ReadEntry(const StrictJson& object) {
  IndexEntry entry;
  entry.name = object.Text("name");
  entry.file = object.Text("file");
  CheckFileName(object, entry.file);
  object.Expect("dtype", "float32");
  const std::vector<int64_t> shape = object.Shape("shape", kMostSamples);
  if (shape.size() != 2 || shape[0] != 1) object.Refuse("shape: expected [1, T]");
  entry.row_length = shape[1];
  entry.num_samples = object.Integer("num_samples", 1, entry.row_length);
  return entry;
}

void CheckUnique(const std::string& path, const std::vector<IndexEntry>& entries, std::string IndexEntry::*field) {
  std::set<std::string> seen;
  for (const IndexEntry& entry : entries) {
    if (!seen.insert(entry.*field).second) {
      throw Failure(kInput, path + ": found '" + Shown(entry.*field) + "' twice, expected every name and file once");
    }
  }
}

void CheckSizes(const Index& index) {
  for (const IndexEntry& entry : index.entries) {
    const std::string path = index.folder + "/" + entry.file;
    struct stat about;
    if (stat(path.c_str(), &about) != 0) throw Failure(kInput, path + ": cannot be read (" + SystemReason(errno) + ")");
    const int64_t expected = entry.row_length * kSampleBytes;
    if (!S_ISREG(about.st_mode) || about.st_size != expected) {
      throw Failure(kInput, path + ": found " + std::to_string(about.st_size) + " bytes, expected " +
                                std::to_string(expected) + " as " + index.path + " tells");
    }
  }
}

}  // namespace

Index ParseIndex(const std::string& text, const std::string& path) {
  const StrictJson file = StrictJson::Parse(text, path, kInput, kFormat, kVersion);
  Index index;
  index.path = path;
  const std::string parent = std::filesystem::path(path).parent_path().string();
  index.folder = parent.empty() ? "." : parent;
  index.sha256 = Sha256(text);
  index.sample_rate = static_cast<int>(file.Integer("sample_rate", kLowestRate, kHighestRate));
  index.num_speakers = static_cast<int>(file.Integer("num_speakers", 1, kMostSpeakers));
  index.data = file.Text("data");
  for (const StrictJson& object : file.Objects("inputs")) index.entries.push_back(ReadEntry(object));
  if (index.entries.empty()) file.Refuse("inputs: found none, expected at least one");
  CheckUnique(path, index.entries, &IndexEntry::name);
  CheckUnique(path, index.entries, &IndexEntry::file);
  return index;
}

Index ReadIndex(const std::string& path) {
  const Index index = ParseIndex(ReadFile(path, kMostBytes, kInput), path);
  CheckSizes(index);
  return index;
}

void CheckFits(const Index& index, const Description& description) {
  if (index.sample_rate != description.sample_rate) {
    throw Failure(kInput, Format("%s: found inputs at %d Hz, expected %d Hz as the network takes", index.path.c_str(),
                                 index.sample_rate, description.sample_rate));
  }
  if (index.num_speakers != description.num_speakers) {
    throw Failure(kInput, Format("%s: found inputs of %d speakers, expected %d as the network separates",
                                 index.path.c_str(), index.num_speakers, description.num_speakers));
  }
}

BinRecording::BinRecording(const std::string& folder, const IndexEntry& entry)
    : path_(folder + "/" + entry.file),
      num_samples_(entry.num_samples),
      descriptor_(open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (descriptor_ < 0) throw Failure(kInput, path_ + ": cannot be read (" + SystemReason(errno) + ")");
  try {
    CheckSamples();
  } catch (...) {
    close(descriptor_);
    throw;
  }
}

BinRecording::~BinRecording() {
  close(descriptor_);
}

void BinRecording::CheckSamples() const {
  std::vector<float> block(static_cast<size_t>(std::min(kBlockSamples, num_samples_)));
  int64_t num_bad = 0;
  for (int64_t start = 0; start < num_samples_; start += kBlockSamples) {
    const int64_t count = std::min(kBlockSamples, num_samples_ - start);
    Read(start, count, block.data());
    num_bad += std::count_if(block.data(), block.data() + count,
                             [](float sample) { return !(std::fabs(sample) <= kLargestSample); });
  }
  if (num_bad > 0) {
    throw Failure(kInput, path_ + ": found " + std::to_string(num_bad) +
                              " samples that are NaN, infinite or huge, expected them between -1 and 1");
  }
}

void BinRecording::Read(int64_t start, int64_t count, float* to) const {
  const auto num_bytes = static_cast<size_t>(count * kSampleBytes);
  const std::string reason = ReadWhole(descriptor_, start * kSampleBytes, to, num_bytes);
  if (!reason.empty()) throw Failure(kInput, path_ + ": cannot be read (" + reason + ")");
}

std::string OutputIndexText(const Index& index, const Description& description) {
  nlohmann::ordered_json file = {
      {"format", kOutputFormat},
      {"version", kVersion},
      {"sample_rate", index.sample_rate},
      {"num_speakers", index.num_speakers},
      {"data", index.data},
      {"model_sha256", description.sha256},
      {"chunk_samples", description.chunking.chunk_samples},
      {"overlap_samples", description.chunking.overlap_samples},
      {"outputs", nlohmann::ordered_json::array()},
  };
  for (const IndexEntry& entry : index.entries) {
    file["outputs"].push_back({{"name", entry.name},
                               {"file", entry.file},
                               {"dtype", "float32"},
                               {"shape", {index.num_speakers, entry.num_samples}},
                               {"num_samples", entry.num_samples}});
  }
  return file.dump(1) + "\n";
}

}  // namespace gdprnn
