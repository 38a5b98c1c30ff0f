// What the programs share: from what is raised to a line and an exit code.
#ifndef GDPRNN_PROGRAM_H_
#define GDPRNN_PROGRAM_H_

#include <functional>
#include <string>
#include <vector>

#include "failure.h"

namespace gdprnn {

// Tells a failure on standard error, and gives its exit code.
int TellFailure(const Failure& failure);

// Runs a program on the arguments after its name and ends the process with what it returns, or, where it raises, with
// a line on standard error and the stage's code. Not through the runtime's destructors, which have threads to end.
[[noreturn]] void RunProgram(const std::function<int(const std::vector<std::string>&)>& run, int argc, char** argv);

}  // namespace gdprnn

#endif  // GDPRNN_PROGRAM_H_
