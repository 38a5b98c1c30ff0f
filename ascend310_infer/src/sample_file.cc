#include "sample_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "failure.h"

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
  if (descriptor_ < 0) Fail("made", std::strerror(errno));
}

SampleFile::~SampleFile() { close(descriptor_); }

void SampleFile::Append(const float* samples, int64_t num_samples) {
  const char* rest = reinterpret_cast<const char*>(samples);
  size_t missing = static_cast<size_t>(num_samples * num_channels_) * sizeof(float);
  while (missing > 0) {  // a single write may take only a part, the last one before the disk is full
    const ssize_t written = write(descriptor_, rest, missing);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) Fail("written", std::strerror(errno));
    rest += written;
    missing -= static_cast<size_t>(written);
  }
  num_samples_ += num_samples;
}

void SampleFile::SetLength(int64_t num_samples) {
  const auto num_bytes = static_cast<off_t>(num_samples * num_channels_ * static_cast<int64_t>(sizeof(float)));
  if (ftruncate(descriptor_, num_bytes) != 0 || lseek(descriptor_, num_bytes, SEEK_SET) < 0) {
    Fail("written", std::strerror(errno));
  }
  num_samples_ = num_samples;
}

void SampleFile::Read(int64_t start, int64_t count, float* to) const {
  char* rest = reinterpret_cast<char*>(to);
  size_t missing = static_cast<size_t>(count * num_channels_) * sizeof(float);
  auto place = static_cast<off_t>(start * num_channels_ * static_cast<int64_t>(sizeof(float)));
  while (missing > 0) {
    const ssize_t got = pread(descriptor_, rest, missing, place);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) Fail("read", std::strerror(errno));
    if (got == 0) Fail("read", "it ends too early");
    rest += got;
    place += got;
    missing -= static_cast<size_t>(got);
  }
}

void SampleFile::Fail(const std::string& cannot, const std::string& reason) const {
  throw Failure(kOutput, "the temporary file in " + folder_ + " cannot be " + cannot + " (" + reason + ")");
}

}  // namespace gdprnn
