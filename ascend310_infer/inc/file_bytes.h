// Files that are read as a whole.
#ifndef GDPRNN_FILE_BYTES_H_
#define GDPRNN_FILE_BYTES_H_

#include <cstdint>
#include <string>

#include "failure.h"

namespace gdprnn {

// Raises Failure(stage): the file is missing, unreadable, a folder or a device, or larger than `most_bytes`.
std::string ReadFile(const std::string& path, int64_t most_bytes, ExitCode stage);

}  // namespace gdprnn

#endif  // GDPRNN_FILE_BYTES_H_
