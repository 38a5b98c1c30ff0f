#include "crash_guard.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <mutex>

namespace gdprnn {
namespace {

constexpr std::array<int, 5> kCrashes = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};
constexpr size_t kStackBytes = 1 << 16;  // for the handler, where the crash was a stack that is full

// What the handler needs, in plain memory: it may neither allocate nor lock.
std::atomic<int> num_guards{0};
std::atomic<int> exit_code{0};
std::atomic<size_t> line_length{0};
std::array<char, 1024> crash_line;
std::mutex one_writes_the_line;

extern "C" void HandleCrash(int number) {
  if (num_guards == 0) {  // not foreign code
    signal(number, SIG_DFL);
    raise(number);
    return;
  }
  if (write(STDERR_FILENO, crash_line.data(), line_length) < 0) _exit(exit_code);
  _exit(exit_code);
}

void GiveHandlerItsStack() {
  static thread_local std::array<char, kStackBytes> memory;
  stack_t stack{};
  stack.ss_sp = memory.data();
  stack.ss_size = memory.size();
  sigaltstack(&stack, nullptr);
}

}  // namespace

CrashGuard::CrashGuard(const std::string& line, ExitCode stage) {
  const std::lock_guard<std::mutex> lock(one_writes_the_line);
  line_length = std::min(line.size(), crash_line.size());
  std::memcpy(crash_line.data(), line.data(), line_length);
  exit_code = stage;
  GiveHandlerItsStack();
  struct sigaction action {};
  action.sa_handler = HandleCrash;
  action.sa_flags = SA_ONSTACK;
  for (const int number : kCrashes) sigaction(number, &action, nullptr);
  ++num_guards;
}

CrashGuard::~CrashGuard() {
  --num_guards;
}

}  // namespace gdprnn
