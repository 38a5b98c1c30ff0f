#include "text.h"

#include <cstdarg>
#include <cstdio>
#include <system_error>

namespace gdprnn {

std::string Format(const char* form, ...) {
  va_list values;
  va_start(values, form);
  va_list again;
  va_copy(again, values);
  const int length = std::vsnprintf(nullptr, 0, form, values);
  va_end(values);
  std::string text(length > 0 ? static_cast<size_t>(length) : 0, '\0');
  std::vsnprintf(text.data(), text.size() + 1, form, again);
  va_end(again);
  return text;
}

std::string SystemReason(int error) {
  return std::generic_category().message(error);
}

}  // namespace gdprnn
