#include "digest.h"

#include <openssl/evp.h>

#include <stdexcept>

namespace gdprnn {

std::string Sha256(const std::string& bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr) != 1) {
    throw std::runtime_error("libcrypto cannot compute SHA-256");
  }
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (unsigned place = 0; place < length; ++place) {
    text.push_back(kDigits[digest[place] >> 4]);
    text.push_back(kDigits[digest[place] & 15]);
  }
  return text;
}

}  // namespace gdprnn
