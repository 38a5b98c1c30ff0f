// Text in the form of printf.
#ifndef GDPRNN_TEXT_H_
#define GDPRNN_TEXT_H_

#include <string>

namespace gdprnn {

// As printf, into a string.
[[gnu::format(printf, 1, 2)]] std::string Format(const char* form, ...);

// What the operating system calls an errno.
std::string SystemReason(int error);

}  // namespace gdprnn

#endif  // GDPRNN_TEXT_H_
