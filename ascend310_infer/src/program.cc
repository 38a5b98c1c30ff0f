#include "program.h"

#include <unistd.h>

#include <cstdio>
#include <exception>
#include <new>

#include "interrupts.h"

namespace gdprnn {
namespace {

int RunAndTell(const std::function<int(const std::vector<std::string>&)>& run,
               const std::vector<std::string>& arguments) {
  try {
    return run(arguments);
  } catch (const Failure& failure) {
    return TellFailure(failure);
  } catch (const std::bad_alloc&) {
    return TellFailure(Failure(kInference, "found too little memory for the network and the recording"));
  } catch (const std::exception& error) {  // of the system: no more threads, for instance
    return TellFailure(Failure(kInference, std::string("cannot go on (") + error.what() + ")"));
  }
}

}  // namespace

int TellFailure(const Failure& failure) {
  std::fprintf(stderr, "error: %s\n", failure.what());
  return failure.stage();
}

void RunProgram(const std::function<int(const std::vector<std::string>&)>& run, int argc, char** argv) {
  IgnoreWriteSignals();
  const int exit_code = RunAndTell(run, std::vector<std::string>(argv + 1, argv + argc));
  std::fflush(stdout);
  _exit(exit_code);
}

}  // namespace gdprnn
