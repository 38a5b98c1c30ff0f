#include "hidden_folder.h"

#include <stdlib.h>
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

HiddenFolder::HiddenFolder(const std::string& parent) : path_(parent + "/.separating-XXXXXX") {
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
