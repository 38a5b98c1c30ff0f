// Failures that tell which input they belong to.
#ifndef GDPRNN_NAMED_FAILURE_H_
#define GDPRNN_NAMED_FAILURE_H_

#include <string>

#include "failure.h"

namespace gdprnn {

// Does the work; a Failure that it raises, and that does not begin with `name`, gets it before its message.
template <typename Work>
auto WithName(const std::string& name, const Work& work) {
  try {
    return work();
  } catch (const Failure& failure) {
    const std::string message = failure.what();
    if (message.rfind(name, 0) == 0) throw;
    throw Failure(failure.stage(), name + ": " + message);
  }
}

}  // namespace gdprnn

#endif  // GDPRNN_NAMED_FAILURE_H_
