// What ends the program early: where it happened, as an exit code, and one line that says what was found.
#ifndef GDPRNN_FAILURE_H_
#define GDPRNN_FAILURE_H_

#include <exception>
#include <string>
#include <utility>

namespace gdprnn {

// One for each stage of the work; what the program returns.
enum ExitCode : int {
  kDone = 0,
  kOptions = 2,    // wrong options
  kModel = 3,      // the exported network or its description
  kInput = 4,      // a recording, or a folder of inputs
  kInference = 5,  // the network's run
  kOutput = 6,     // what cannot be written: no room, no permission
  kInterrupted = 130,
};

// A failure that a user can do something about. The message is one line: what, found, expected, which file.
class Failure : public std::exception {
 public:
  Failure(ExitCode stage, std::string message) : stage_(stage), message_(std::move(message)) {}

  ExitCode stage() const { return stage_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  ExitCode stage_;
  std::string message_;
};

}  // namespace gdprnn

#endif  // GDPRNN_FAILURE_H_
