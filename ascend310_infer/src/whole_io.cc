#include "whole_io.h"

#include <unistd.h>

#include <cerrno>

#include "text.h"

namespace gdprnn {
namespace {

// `transfer` does a part of `num_bytes`, `done` of which are through, and tells how much, or -1.
template <typename Transfer>
std::string TransferWhole(size_t num_bytes, const Transfer& transfer) {
  for (size_t done = 0; done < num_bytes;) {
    const ssize_t part = transfer(done);
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) return SystemReason(errno);
    if (part == 0) return "it ends too early";
    done += static_cast<size_t>(part);
  }
  return "";
}

}  // namespace

std::string ReadWhole(int descriptor, int64_t place, void* to, size_t num_bytes) {
  return TransferWhole(num_bytes, [&](size_t done) {
    return pread(descriptor, static_cast<char*>(to) + done, num_bytes - done, place + static_cast<off_t>(done));
  });
}

std::string WriteWhole(int descriptor, int64_t place, const void* from, size_t num_bytes) {
  return TransferWhole(num_bytes, [&](size_t done) {
    return pwrite(descriptor, static_cast<const char*>(from) + done, num_bytes - done,
                  place + static_cast<off_t>(done));
  });
}

}  // namespace gdprnn
