#include "wire_format.h"

#include <stdexcept>

namespace gdprnn {
namespace {

enum Kind : uint64_t { kVarint = 0, kEightBytes = 1, kBytes = 2, kFourBytes = 5 };

constexpr int kKindBits = 3;

}  // namespace

uint64_t TakeVarint(std::string_view* bytes) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && !bytes->empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes->front());
    bytes->remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  throw std::invalid_argument("a number that does not end");
}

std::string_view WireMessage::Take(uint64_t count) {
  if (count > left_.size()) throw std::invalid_argument("a field that is longer than the message");
  const std::string_view taken = left_.substr(0, static_cast<size_t>(count));
  left_.remove_prefix(static_cast<size_t>(count));
  return taken;
}

bool WireMessage::Next(WireField* field) {
  if (left_.empty()) return false;
  const uint64_t key = TakeVarint(&left_);
  *field = WireField{key >> kKindBits, false, 0, {}};
  switch (key & ((1 << kKindBits) - 1)) {
    case kVarint:
      field->value = TakeVarint(&left_);
      break;
    case kBytes:
      field->has_bytes = true;
      field->bytes = Take(TakeVarint(&left_));
      break;
    case kEightBytes:
      Take(8);
      break;
    case kFourBytes:
      Take(4);
      break;
    default:
      throw std::invalid_argument("a field of an unknown kind");
  }
  return true;
}

}  // namespace gdprnn
