// Memory for the arrays of one call, kept for the next: fresh pages cost more than what is done in them.
#ifndef GDPRNN_KERNELS_WORKSPACE_H_
#define GDPRNN_KERNELS_WORKSPACE_H_

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

namespace gdprnn {

class Workspace {
 public:
  // The process's only one; a second call at the same time waits.
  Workspace() : lock_(Mutex()) { taken_ = 0; }

  // Plans an array; all are planned before the first is used.
  int64_t Plan(int64_t count) {
    const int64_t place = taken_;
    taken_ += (count + kAligned - 1) / kAligned * kAligned;
    return place;
  }
  // Makes room for what was planned.
  void Make() {
    if (taken_ <= Capacity()) return;
    std::free(Floats());
    Floats() = nullptr;
    Capacity() = 0;
    void* made = nullptr;
    if (posix_memalign(&made, kAligned * sizeof(float), static_cast<size_t>(taken_) * sizeof(float)) != 0) {
      throw std::bad_alloc();
    }
    Floats() = static_cast<float*>(made);
    Capacity() = taken_;
  }
  float* At(int64_t place) const { return Floats() + place; }

 private:
  static constexpr int64_t kAligned = 64;  // floats
  static std::mutex& Mutex() {
    static std::mutex mutex;
    return mutex;
  }
  static float*& Floats() {
    static float* floats = nullptr;
    return floats;
  }
  static int64_t& Capacity() {
    static int64_t capacity = 0;
    return capacity;
  }

  std::lock_guard<std::mutex> lock_;
  int64_t taken_;
};

}  // namespace gdprnn

#endif  // GDPRNN_KERNELS_WORKSPACE_H_
