// Reads and writes of all that is wanted: a single call of the system may do only a part, the last one before the disk
// is full for instance.
#ifndef GDPRNN_WHOLE_IO_H_
#define GDPRNN_WHOLE_IO_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace gdprnn {

// Reads bytes from a place of an open file. Returns "", or why not all of them were read.
std::string ReadWhole(int descriptor, int64_t place, void* to, size_t num_bytes);

// Writes bytes at a place of an open file. Returns "", or why not all of them were written.
std::string WriteWhole(int descriptor, int64_t place, const void* from, size_t num_bytes);

}  // namespace gdprnn

#endif  // GDPRNN_WHOLE_IO_H_
