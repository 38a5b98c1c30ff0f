#include "file_bytes.h"

#include <sys/stat.h>

#include <cerrno>
#include <fstream>

#include "text.h"

namespace gdprnn {

std::string ReadFile(const std::string& path, int64_t most_bytes, ExitCode stage) {
  struct stat about;
  if (stat(path.c_str(), &about) != 0) throw Failure(stage, path + ": cannot be read (" + SystemReason(errno) + ")");
  if (!S_ISREG(about.st_mode)) throw Failure(stage, path + ": found a folder or a device, expected a file");
  if (about.st_size > most_bytes) {
    throw Failure(stage, path + ": found " + std::to_string(about.st_size) + " bytes, expected at most " +
                             std::to_string(most_bytes));
  }
  std::ifstream file(path, std::ios::binary);
  std::string bytes(static_cast<size_t>(about.st_size), '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file) throw Failure(stage, path + ": cannot be read (" + SystemReason(errno) + ")");
  return bytes;
}

}  // namespace gdprnn
