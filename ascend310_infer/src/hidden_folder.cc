#include "hidden_folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "failure.h"
#include "interrupts.h"
#include "text.h"

namespace gdprnn {

void MakeOutputFolder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error || !std::filesystem::is_directory(path)) {
    const std::string reason = error ? error.message() : SystemReason(ENOTDIR);
    throw Failure(kOutput, path + ": cannot be made (" + reason + "), expected a folder");
  }
  if (access(path.c_str(), W_OK | X_OK) != 0) {
    throw Failure(kOutput, path + ": found a folder without the right to write, expected one with it");
  }
}

void LockFolder(const std::string& path, bool alone) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // which stays open
  if (descriptor < 0) throw Failure(kOutput, path + ": cannot be opened (" + SystemReason(errno) + ")");
  if (flock(descriptor, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    close(descriptor);
    throw Failure(kOutput, path + ": found another run that writes there, expected none");
  }
}

HiddenFolder::HiddenFolder(const std::string& parent) : path_(parent + "/" + kHiddenPrefix + "XXXXXX") {
  const InterruptsHeldBack block;
  if (mkdtemp(path_.data()) == nullptr) {
    throw Failure(kOutput, parent + ": cannot be written to (" + SystemReason(errno) + ")");
  }
  RemoveWhenInterrupted(path_);
}

HiddenFolder::~HiddenFolder() {
  const InterruptsHeldBack block;
  std::error_code error;
  std::filesystem::remove_all(path_, error);
  RemoveWhenInterrupted("");
}

void PutInPlace(const std::vector<Placement>& placements) {
  const InterruptsHeldBack block;
  for (const Placement& placement : placements) {
    if (std::rename(placement.from.c_str(), placement.to.c_str()) != 0) {
      throw Failure(kOutput, placement.to + ": cannot be written (" + SystemReason(errno) + ")");
    }
  }
}

}  // namespace gdprnn
