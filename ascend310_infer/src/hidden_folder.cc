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
namespace {

// A descriptor of the folder, or -1.
int OpenFolder(const std::string& path) {
  return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

// Those whose owner lives are locked. A file system without locks keeps all of them.
void RemoveLeftovers(const std::string& parent) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(parent, error)) {
    if (entry.path().filename().string().rfind(kHiddenPrefix, 0) != 0) continue;
    const int folder = OpenFolder(entry.path());
    if (folder < 0) continue;
    if (flock(folder, LOCK_EX | LOCK_NB) == 0) std::filesystem::remove_all(entry.path(), error);
    close(folder);
  }
}

// A new folder, and in `lock` its descriptor.
std::string MakeLocked(const std::string& parent, int* lock) {
  while (true) {
    std::string path = parent + "/" + kHiddenPrefix + "XXXXXX";
    const bool is_made = mkdtemp(path.data()) != nullptr;
    *lock = is_made ? OpenFolder(path) : -1;
    if (!is_made || (*lock < 0 && errno != ENOENT)) {
      throw Failure(kOutput, parent + ": cannot be written to (" + SystemReason(errno) + ")");
    }
    if (*lock < 0) continue;
    flock(*lock, LOCK_EX);
    if (access(path.c_str(), F_OK) == 0) return path;
    close(*lock);  // another program took it for a leftover before it was locked
  }
}

}  // namespace

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
  RemoveLeftovers(path);
}

void LockFolder(const std::string& path, bool alone) {
  const int descriptor = OpenFolder(path);  // which stays open
  if (descriptor < 0) throw Failure(kOutput, path + ": cannot be opened (" + SystemReason(errno) + ")");
  if (flock(descriptor, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    close(descriptor);
    throw Failure(kOutput, path + ": found another run that writes there, expected none");
  }
}

HiddenFolder::HiddenFolder(const std::string& parent) {
  const InterruptsHeldBack block;
  path_ = MakeLocked(parent, &lock_);
  RemoveWhenInterrupted(path_);
}

HiddenFolder::~HiddenFolder() {
  const InterruptsHeldBack block;
  std::error_code error;
  std::filesystem::remove_all(path_, error);
  close(lock_);
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
