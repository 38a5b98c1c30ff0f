#include "output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "failure.h"
#include "text.h"
#include "whole_io.h"

namespace gdprnn {

OutputFile::OutputFile(const std::string& path, std::string name)
    : name_(std::move(name)), descriptor_(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) Refuse(SystemReason(errno));
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

void OutputFile::Write(const void* bytes, size_t num_bytes) {
  WriteAt(length_, bytes, num_bytes);
  length_ += static_cast<int64_t>(num_bytes);
}

void OutputFile::WriteAt(int64_t place, const void* bytes, size_t num_bytes) {
  const std::string reason = WriteWhole(descriptor_, place, bytes, num_bytes);
  if (!reason.empty()) Refuse(reason);
}

void OutputFile::Close() {
  const bool is_on_disk = fsync(descriptor_) == 0 || errno == EINVAL || errno == ENOSYS;  // or it cannot be asked for
  const int sync_error = errno;
  const bool is_closed = close(descriptor_) == 0;
  descriptor_ = -1;
  if (!is_on_disk) Refuse(SystemReason(sync_error));
  if (!is_closed) Refuse(SystemReason(errno));
}

void OutputFile::Refuse(const std::string& reason) const {
  throw Failure(kOutput, name_ + ": cannot be written (" + reason + ")");
}

}  // namespace gdprnn
