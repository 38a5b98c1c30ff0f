// The encoding of protocol buffers, read field by field: https://protobuf.dev/programming-guides/encoding
#ifndef GDPRNN_WIRE_FORMAT_H_
#define GDPRNN_WIRE_FORMAT_H_

#include <cstdint>
#include <string_view>

namespace gdprnn {

// One field of a message.
struct WireField {
  uint64_t number = 0;
  bool has_bytes = false;  // a text, bytes, a message or a packed list
  uint64_t value = 0;      // of a whole number
  std::string_view bytes;
};

// The fields of a message, one after another. The bytes must outlive it.
class WireMessage {
 public:
  explicit WireMessage(std::string_view bytes) : left_(bytes) {}

  // Reads the next field; false at the end. Raises std::invalid_argument where the bytes are no message.
  bool Next(WireField* field);

 private:
  std::string_view Take(uint64_t count);

  std::string_view left_;
};

// A whole number of variable length at the beginning of `*bytes`, which lose it. Raises std::invalid_argument.
uint64_t TakeVarint(std::string_view* bytes);

}  // namespace gdprnn

#endif  // GDPRNN_WIRE_FORMAT_H_
