#include "network_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>
#include <vector>

#include "failure.h"

namespace gdprnn {
namespace {

namespace fs = std::filesystem;

constexpr char kExtension[] = ".ms";
constexpr char kConverter[] = "gdprnn_convert";  // beside this program
constexpr char kErase[] = "\r\033[K";
constexpr size_t kMostKept = 8;      // networks in the cache: those that were used last
constexpr uintmax_t kTimesRoom = 3;  // that a conversion needs, in files of the network

bool IsConverted(const std::string& path) {
  return fs::path(path).extension() == kExtension;
}

std::string AbsoluteFolder(const char* variable, const char* below) {
  const char* value = std::getenv(variable);
  return value != nullptr && value[0] == '/' ? std::string(value) + below : "";
}

std::string PathInCache(const std::string& folder, const Description& description) {
  return folder + "/" + description.sha256 + "-" GDPRNN_RUNTIME_VERSION + kExtension;
}

// Whether the file is there and whole, and of the same network; then its bytes are in `bytes`.
bool ReadCached(const std::string& path, const Description& expected, std::string* bytes) {
  try {
    const Description found = ReadDescription(path);
    if (!(found.inputs == expected.inputs && found.outputs == expected.outputs)) return false;
    *bytes = ReadModel(path, found);
  } catch (const Failure&) {
    return false;
  }
  utimensat(AT_FDCWD, path.c_str(), nullptr, 0);  // used now
  return true;
}

// Before minutes of work: whether something can be written there.
bool HasRoom(const std::string& folder, size_t num_bytes) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || access(folder.c_str(), W_OK | X_OK) != 0) return false;
  const fs::space_info space = fs::space(folder, error);
  return !error && space.available > kTimesRoom * num_bytes;
}

// In the new process: the converter instead of this program, silent unless `verbose`. It ends when this program does.
[[noreturn]] void BecomeConverter(const std::string& converter, const Options& options, const std::string& path) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  const int nowhere = open("/dev/null", O_RDWR);
  dup2(nowhere, STDIN_FILENO);
  dup2(nowhere, STDOUT_FILENO);
  if (!options.verbose) dup2(nowhere, STDERR_FILENO);
  execl(converter.c_str(), kConverter, options.model_path.c_str(), path.c_str(), nullptr);
  _exit(kModel);
}

// In a process of its own, so that neither its memory nor a crash is this program's.
bool Convert(const Options& options, const std::string& path) {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const std::string converter = (program.parent_path() / kConverter).string();
  if (error || access(converter.c_str(), X_OK) != 0) return false;
  const pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) BecomeConverter(converter, options, path);
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == kDone;
}

// At a terminal it is told why the first start takes longer.
bool ConvertAndTell(const Options& options, const std::string& path) {
  const bool is_terminal = isatty(STDERR_FILENO) == 1;
  if (is_terminal) std::fputs("converting the network, once", stderr);
  const bool is_done = Convert(options, path);
  if (is_terminal) std::fputs(kErase, stderr);
  return is_done;
}

// Removes from the cache what was not used for longest.
void KeepFew(const std::string& folder) {
  std::error_code error;
  std::vector<std::pair<fs::file_time_type, fs::path>> networks;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (IsConverted(entry.path())) networks.emplace_back(fs::last_write_time(entry.path(), error), entry.path());
  }
  std::sort(networks.begin(), networks.end(), std::greater<>());
  for (size_t place = kMostKept; place < networks.size(); ++place) {
    fs::remove(networks[place].second.string() + ".json", error);
    fs::remove(networks[place].second, error);
  }
}

}  // namespace

std::string CacheFolder() {
  const std::string folder = AbsoluteFolder("XDG_CACHE_HOME", "/gdprnn");
  return folder.empty() ? AbsoluteFolder("HOME", "/.cache/gdprnn") : folder;
}

NetworkFile ReadNetwork(const Options& options, const Description& description) {
  NetworkFile original{ReadModel(options.model_path, description), IsConverted(options.model_path)};
  const std::string folder = CacheFolder();
  if (original.is_converted || options.device != Device::kCpu || !options.use_cache || folder.empty()) return original;
  const std::string path = PathInCache(folder, description);
  NetworkFile cached{"", true};
  if (ReadCached(path, description, &cached.bytes)) return cached;
  if (HasRoom(folder, original.bytes.size()) && ConvertAndTell(options, path)) {
    KeepFew(folder);
    if (ReadCached(path, description, &cached.bytes)) return cached;
  }
  if (options.verbose) std::fprintf(stderr, "no converted network in %s: the start takes longer\n", folder.c_str());
  return original;
}

}  // namespace gdprnn
