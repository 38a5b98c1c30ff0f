// One clear line where foreign code crashes.
#ifndef GDPRNN_CRASH_GUARD_H_
#define GDPRNN_CRASH_GUARD_H_

#include <string>

#include "failure.h"

namespace gdprnn {

// While one of these lives, a crash of the process (SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL) writes `line` on
// standard error and ends it with `stage`. Where several live, in several threads, the last one speaks.
class CrashGuard {
 public:
  CrashGuard(const std::string& line, ExitCode stage);
  ~CrashGuard();
  CrashGuard(const CrashGuard&) = delete;
  CrashGuard& operator=(const CrashGuard&) = delete;
};

}  // namespace gdprnn

#endif  // GDPRNN_CRASH_GUARD_H_
