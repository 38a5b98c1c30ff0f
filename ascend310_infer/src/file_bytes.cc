#include "file_bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "text.h"
#include "whole_io.h"

namespace gdprnn {

std::string ReadFile(const std::string& path, int64_t most_bytes, ExitCode stage) {
  const auto refuse = [&](const std::string& reason) { throw Failure(stage, path + ": cannot be read (" + reason + ")"); };
  struct stat about;
  if (stat(path.c_str(), &about) != 0) refuse(SystemReason(errno));
  if (!S_ISREG(about.st_mode)) throw Failure(stage, path + ": found a folder or a device, expected a file");
  if (about.st_size > most_bytes) {
    throw Failure(stage, path + ": found " + std::to_string(about.st_size) + " bytes, expected at most " +
                             std::to_string(most_bytes));
  }
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) refuse(SystemReason(errno));
  std::string bytes(static_cast<size_t>(about.st_size), '\0');
  const std::string reason = ReadWhole(descriptor, 0, bytes.data(), bytes.size());
  close(descriptor);
  if (!reason.empty()) refuse(reason);
  return bytes;
}

}  // namespace gdprnn
