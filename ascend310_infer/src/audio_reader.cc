#include "audio_reader.h"

#include <sndfile.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <sstream>

#include "failure.h"
#include "text.h"

namespace gdprnn {
namespace {

constexpr double kBlockValues = 1 << 17;  // numbers in a block, of all channels together
constexpr size_t kLogBytes = 1 << 14;
constexpr int64_t kUnknownFrames = int64_t{1} << 62;  // flac from a pipe; libsndfile tells 2^63 - 1
constexpr char kShortOgg[] = "Junk after the last page";

// A program that writes wav to a pipe cannot go back to fill in the size: sox leaves 0x7FFFF000, arecord about
// 0x80000000, others the largest number of 32 bits; and a little more in the chunk around it.
bool IsUnknown(uint64_t declared_bytes) {
  return (declared_bytes >= 0x7FFFF000 && declared_bytes <= 0x80001000) ||
         (declared_bytes >= 0xFFFFF000 && declared_bytes <= 0xFFFFFFFF);
}

void CheckIsFile(const std::string& name) {
  struct stat about;
  if (stat(name.c_str(), &about) != 0) throw Failure(kInput, name + ": no such file, expected an audio file");
  if (!S_ISREG(about.st_mode)) {
    throw Failure(kInput, name + ": found a folder or a device, expected an audio file");
  }
  if (about.st_size == 0) throw Failure(kInput, name + ": found an empty file of 0 bytes, expected an audio file");
}

bool HasNoHeader(const std::string& name) {
  std::string ending = name.size() < 4 ? "" : name.substr(name.size() - 4);
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return ending == ".raw";
}

// Reads "NAME : DECLARED (should be FOUND)", as libsndfile's log tells a chunk that is shorter than its header says.
bool ParseShortChunk(const std::string& line, uint64_t* declared, uint64_t* found) {
  std::istringstream words(line);
  std::string name;
  std::string after;
  words >> name;
  if (name == "Riff") {
    words >> after;
    if (after != "size") return false;
  } else if (name != "data" && name != "SSND" && name != "riff") {
    return false;
  }
  std::string colon, should, be;
  if (!(words >> colon >> *declared >> should >> be >> *found)) return false;
  return colon == ":" && should == "(should" && be == "be" && words.peek() == ')';
}

}  // namespace

AudioReader::AudioReader(const std::string& path) : name_(path), file_(nullptr, sf_close) {
  CheckIsFile(name_);
  if (HasNoHeader(name_)) {
    throw Failure(kInput, name_ + ": found a file without a header, expected one that tells its rate and format");
  }
  SF_INFO info{};
  file_.reset(sf_open(path.c_str(), SFM_READ, &info));
  if (!file_ || sf_error(file_.get()) != SF_ERR_NO_ERROR || info.channels < 1) RefuseUnreadable();
  sample_rate_ = info.samplerate;
  num_channels_ = info.channels;
  num_samples_ = info.frames < kUnknownFrames ? info.frames : -1;
  format_ = info.format;
  CheckWhole();
}

AudioReader::~AudioReader() = default;

void AudioReader::RefuseUnreadable() const {
  const std::string reason = sf_strerror(file_.get());
  throw Failure(kInput, name_ + ": unreadable, expected audio that libsndfile reads (" + reason + ")");
}

// libsndfile reads a file that ends early without a complaint, but its log tells both sizes in bytes.
void AudioReader::CheckWhole() const {
  std::vector<char> text(kLogBytes);
  sf_command(file_.get(), SFC_GET_LOG_INFO, text.data(), static_cast<int>(text.size()));
  const std::string log(text.data(), strnlen(text.data(), text.size()));
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    uint64_t declared = 0;
    uint64_t found = 0;
    if (ParseShortChunk(line, &declared, &found) && found < declared && !IsUnknown(declared)) {
      throw Failure(kInput, name_ + ": truncated, found " + std::to_string(found) + " bytes of audio, expected " +
                                std::to_string(declared));
    }
  }
  if (log.find(kShortOgg) != std::string::npos) {
    throw Failure(kInput, name_ + ": truncated, found an incomplete last Ogg page, expected a whole one");
  }
}

int64_t AudioReader::Read(int64_t num_samples, std::vector<double>* block) {
  block->resize(static_cast<size_t>(num_samples * num_channels_));
  const int64_t found = sf_readf_double(file_.get(), block->data(), num_samples);
  if (sf_error(file_.get()) != SF_ERR_NO_ERROR) RefuseUnreadable();
  block->resize(static_cast<size_t>(found * num_channels_));
  num_read_ += found;
  for (double& sample : *block) {
    if (std::isfinite(sample)) continue;
    ++num_bad_;
    sample = 0;  // until the end, where all of them are told
  }
  if (found < num_samples) CheckAll();
  return found;
}

void AudioReader::CheckAll() const {
  if (num_samples_ >= 0 && num_read_ < num_samples_) {
    throw Failure(kInput, name_ + ": truncated, found " + std::to_string(num_read_) + " samples, expected " +
                              std::to_string(num_samples_));
  }
  if (num_read_ == 0) throw Failure(kInput, name_ + ": found 0 samples, expected at least 1");
  if (num_bad_ > 0) {
    throw Failure(kInput, name_ + ": found " + std::to_string(num_bad_) +
                              " NaN or infinite samples, expected finite samples only");
  }
}

int64_t BlockLength(int num_channels, double growth) {
  return std::max<int64_t>(1, static_cast<int64_t>(kBlockValues / (num_channels * std::max(1.0, growth))));
}

}  // namespace gdprnn
