// JSON files that a program wrote, read with every field checked.
#ifndef GDPRNN_STRICT_JSON_H_
#define GDPRNN_STRICT_JSON_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "failure.h"

namespace gdprnn {

// A JSON object, and how errors tell it. All members raise Failure(stage) with the file, the field, what was found and
// what was expected.
class StrictJson {
 public:
  // Parses `text`, which must be an object with the given "format" and "version".
  static StrictJson Parse(const std::string& text, const std::string& name, ExitCode stage, const std::string& format,
                          int version);

  int64_t Integer(const char* key, int64_t least, int64_t most) const;
  double Number(const char* key) const;
  bool Boolean(const char* key) const;
  std::string Text(const char* key) const;
  void Expect(const char* key, const std::string& value) const;  // that the field is this text
  std::vector<int64_t> Shape(const char* key, int64_t largest) const;  // no number below 1 or above `largest`
  std::vector<StrictJson> Objects(const char* key) const;

  // Raises the Failure: "<file>: <message>", or "<file>: <place>: <message>" in one of the objects of a list.
  [[noreturn]] void Refuse(const std::string& message) const;

 private:
  StrictJson(nlohmann::json object, std::string name, ExitCode stage);
  const nlohmann::json& Field(const char* key, const char* expected) const;

  nlohmann::json object_;
  std::string name_;
  ExitCode stage_;
};

// For error messages: a value, shortened where it is long.
std::string Shown(const std::string& value);

}  // namespace gdprnn

#endif  // GDPRNN_STRICT_JSON_H_
