// libFuzzer target: any bytes as an audio file. All that may come of it is samples, or a Failure that names the file.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "audio_reader.h"
#include "failure.h"

namespace {

constexpr int64_t kMostValues = 1 << 22;  // a few bytes of flac may stand for hours of silence

// A file in memory with a path, which lives as long as this.
class MemoryFile {
 public:
  MemoryFile(const uint8_t* bytes, size_t size) : descriptor_(memfd_create("input", 0)) {
    if (descriptor_ < 0 || write(descriptor_, bytes, size) != static_cast<ssize_t>(size)) std::abort();
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

void ReadAll(const std::string& path) {
  gdprnn::AudioReader reader(path);
  const int64_t length = gdprnn::BlockLength(reader.num_channels(), 1.0);
  std::vector<double> block;
  int64_t num_values = 0;
  int64_t found = length;
  while (found == length && num_values < kMostValues) {
    found = reader.Read(length, &block);
    if (static_cast<int64_t>(block.size()) != found * reader.num_channels()) std::abort();
    num_values += static_cast<int64_t>(block.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const MemoryFile file(bytes, size);
  try {
    ReadAll(file.path());
  } catch (const gdprnn::Failure& failure) {
    if (std::string(failure.what()).find(file.path()) == std::string::npos) std::abort();
  }
  return 0;
}
