// What ends the program from outside: crashes of foreign code, Ctrl-C. Each in a process of its own.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "crash_guard.h"
#include "hidden_folder.h"
#include "interrupts.h"
#include "test_folder.h"

namespace gdprnn {
namespace {

// Runs `work` in a new process; returns its exit code, or minus the signal that ended it, and what it wrote.
std::pair<int, std::string> InChild(const std::function<void()>& work) {
  const TestFolder folder;
  const std::string log = folder.PathOf("stderr");
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen(log.c_str(), "w", stderr) == nullptr) _exit(99);
    std::setvbuf(stderr, nullptr, _IONBF, 0);  // as it was
    work();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), ReadBytes(log)};
}

int Overflow(volatile int depth) {
  if (depth < 0) return 0;  // never
  volatile char page[4096];
  page[depth % 4096] = static_cast<char>(depth);
  return Overflow(depth + 1) + page[0];
}

TEST_CASE("a crash of foreign code is told in a line") {
  for (const int number : {SIGSEGV, SIGABRT, SIGFPE}) {
    const auto [code, told] = InChild([&] {
      const CrashGuard guard("error: it crashed\n", kModel);
      raise(number);
    });
    CHECK(code == kModel);
    CHECK(told == "error: it crashed\n");
  }
}

#ifndef __SANITIZE_ADDRESS__
TEST_CASE("a full stack is a crash too") {
  const auto [code, told] = InChild([] {
    const CrashGuard guard("error: it crashed\n", kInference);
    Overflow(1);
  });
  CHECK(code == kInference);
  CHECK(told == "error: it crashed\n");
}

TEST_CASE("a crash of this program's own code stays one") {
  const auto [code, told] = InChild([] {
    { const CrashGuard guard("error: it crashed\n", kModel); }
    raise(SIGSEGV);
  });
  CHECK(code == -SIGSEGV);
  CHECK(told.empty());
}
#endif

TEST_CASE("an interrupt removes the hidden folder and ends the program") {
  const TestFolder folder;
  const auto [code, told] = InChild([&] {
    WatchInterrupts("interrupted: told");
    const HiddenFolder hidden(folder.PathOf("."));
    std::ofstream(hidden.path() + "/half") << "half";
    kill(getpid(), SIGTERM);
    sleep(60);
  });
  CHECK(code == kInterrupted);
  CHECK(told == "interrupted: told\n");
  CHECK(std::filesystem::is_empty(folder.PathOf(".")));
}

TEST_CASE("an interrupt waits until all files are in place") {
  const TestFolder folder;
  const auto [code, told] = InChild([&] {
    WatchInterrupts("interrupted");
    {
      const InterruptsHeldBack block;
      kill(getpid(), SIGINT);
      usleep(200'000);
      std::ofstream(folder.PathOf("whole")) << "whole";
    }
    sleep(60);
  });
  CHECK(code == kInterrupted);
  CHECK(ReadBytes(folder.PathOf("whole")) == "whole");
}

TEST_CASE("an interrupt that was ignored before stays so") {
  const auto [code, told] = InChild([] {
    signal(SIGINT, SIG_IGN);
    WatchInterrupts("interrupted");
    kill(getpid(), SIGINT);
    usleep(100'000);
  });
  CHECK(code == 0);
}

}  // namespace
}  // namespace gdprnn
