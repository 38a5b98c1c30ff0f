#include "interrupts.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <mutex>
#include <thread>

#include "failure.h"

namespace gdprnn {
namespace {

constexpr int kMostAttempts = 100;  // a file may be made in the folder while it is removed

std::mutex held_back;     // an interrupt must get it before it ends the program
std::string hidden;       // guarded by held_back

void RemoveHidden() {
  std::error_code error;
  for (int attempt = 0; attempt < kMostAttempts && !hidden.empty(); ++attempt) {
    std::filesystem::remove_all(hidden, error);
    if (!std::filesystem::exists(hidden, error)) return;
  }
}

[[noreturn]] void WaitForInterrupt(sigset_t signals, const std::string& message) {
  int number = 0;
  while (sigwait(&signals, &number) != 0) continue;
  held_back.lock();  // and never let go: the other threads shall not go on
  RemoveHidden();
  std::fprintf(stderr, "%s%s\n", isatty(STDERR_FILENO) ? "\n" : "", message.c_str());
  _exit(kInterrupted);
}

}  // namespace

void WatchInterrupts(const std::string& message) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before;
    sigaction(number, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaddset(&signals, number);  // ignored, as by nohup, it shall stay so
  }
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals, message] { WaitForInterrupt(signals, message); }).detach();
}

void IgnoreWriteSignals() {
  signal(SIGXFSZ, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
}

InterruptsHeldBack::InterruptsHeldBack() {
  held_back.lock();
}

InterruptsHeldBack::~InterruptsHeldBack() {
  held_back.unlock();
}

void RemoveWhenInterrupted(const std::string& folder) {
  hidden = folder;
}

}  // namespace gdprnn
