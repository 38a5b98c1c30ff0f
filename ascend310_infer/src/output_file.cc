#include "output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "failure.h"
#include "text.h"

namespace gdprnn {

OutputFile::OutputFile(const std::string& path, std::string name)
    : name_(std::move(name)), descriptor_(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) Refuse(errno);
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

void OutputFile::Write(const void* bytes, size_t num_bytes) {
  WriteAt(length_, bytes, num_bytes);
  length_ += static_cast<int64_t>(num_bytes);
}

// One call may take only a part, the last one before the disk is full.
void OutputFile::WriteAt(int64_t place, const void* bytes, size_t num_bytes) {
  const char* rest = static_cast<const char*>(bytes);
  while (num_bytes > 0) {
    const ssize_t written = pwrite(descriptor_, rest, num_bytes, place);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) Refuse(errno);
    rest += written;
    place += written;
    num_bytes -= static_cast<size_t>(written);
  }
}

void OutputFile::Close() {
  const int status = close(descriptor_);
  descriptor_ = -1;
  if (status != 0) Refuse(errno);
}

void OutputFile::Refuse(int error) const {
  throw Failure(kOutput, name_ + ": cannot be written (" + SystemReason(error) + ")");
}

}  // namespace gdprnn
