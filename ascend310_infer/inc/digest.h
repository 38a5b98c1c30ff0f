// Checksums.
#ifndef GDPRNN_DIGEST_H_
#define GDPRNN_DIGEST_H_

#include <string>

namespace gdprnn {

// SHA-256 of some bytes, hexadecimal.
std::string Sha256(const std::string& bytes);

}  // namespace gdprnn

#endif  // GDPRNN_DIGEST_H_
