#include "sample_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "failure.h"
#include "text.h"
#include "whole_io.h"

namespace gdprnn {
namespace {

std::string SystemFolder() {
  const char* folder = std::getenv("TMPDIR");
  return folder != nullptr && *folder != '\0' ? folder : "/tmp";
}

// Returns -1, with errno set, where it cannot be made.
int OpenUnnamed(const std::string& folder) {
  const int descriptor = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (descriptor >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return descriptor;
  std::string path = folder + "/gdprnn-XXXXXX";  // the file system knows no files without a name
  const int named = mkostemp(path.data(), O_CLOEXEC);
  if (named >= 0) unlink(path.c_str());
  return named;
}

}  // namespace

SampleFile::SampleFile(const std::string& folder, int64_t num_channels)
    : folder_(folder.empty() ? SystemFolder() : folder), num_channels_(num_channels) {
  descriptor_ = OpenUnnamed(folder_);
  if (descriptor_ < 0) Fail("made", SystemReason(errno));
}

SampleFile::~SampleFile() { close(descriptor_); }

void SampleFile::Append(const float* samples, int64_t num_samples) {
  const auto num_bytes = static_cast<size_t>(NumBytes(num_samples));
  const std::string reason = WriteWhole(descriptor_, NumBytes(num_samples_), samples, num_bytes);
  if (!reason.empty()) Fail("written", reason);
  num_samples_ += num_samples;
}

void SampleFile::SetLength(int64_t num_samples) {
  if (ftruncate(descriptor_, NumBytes(num_samples)) != 0) Fail("written", SystemReason(errno));
  num_samples_ = num_samples;
}

void SampleFile::Read(int64_t start, int64_t count, float* to) const {
  const std::string reason = ReadWhole(descriptor_, NumBytes(start), to, static_cast<size_t>(NumBytes(count)));
  if (!reason.empty()) Fail("read", reason);
}

int64_t SampleFile::NumBytes(int64_t num_samples) const {
  return num_samples * num_channels_ * static_cast<int64_t>(sizeof(float));
}

void SampleFile::Fail(const std::string& cannot, const std::string& reason) const {
  throw Failure(kOutput, "the temporary file in " + folder_ + " cannot be " + cannot + " (" + reason + ")");
}

}  // namespace gdprnn
