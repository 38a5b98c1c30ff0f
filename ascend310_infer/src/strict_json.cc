#include "strict_json.h"

#include <utility>

namespace gdprnn {
namespace {

constexpr size_t kShownCharacters = 60;

using Json = nlohmann::json;

std::string Dump(const Json& value) {
  return Shown(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

StrictJson::StrictJson(Json object, std::string name, ExitCode stage)
    : object_(std::move(object)), name_(std::move(name)), stage_(stage) {}

StrictJson StrictJson::Parse(const std::string& text, const std::string& name, ExitCode stage,
                             const std::string& format, int version) {
  Json object = Json::parse(text, nullptr, false);
  if (!object.is_object()) throw Failure(stage, name + ": found no JSON object, expected a file of '" + format + "'");
  StrictJson file(std::move(object), name, stage);
  file.Expect("format", format);
  const Json& found = file.Field("version", "a version");
  if (found != version) {
    file.Refuse("found version " + Dump(found) + ", expected " + std::to_string(version) +
                ": this program and the one that wrote it do not belong together");
  }
  return file;
}

const Json& StrictJson::Field(const char* key, const char* expected) const {
  const auto place = object_.find(key);
  if (place == object_.end()) Refuse(std::string(key) + " is missing, expected " + expected);
  return *place;
}

int64_t StrictJson::Integer(const char* key, int64_t least, int64_t most) const {
  const Json& value = Field(key, "a whole number");
  const bool is_small = value.is_number_integer() && !(value.is_number_unsigned() && value > INT64_MAX);
  if (!is_small || value < least || value > most) {
    Refuse(std::string(key) + ": found " + Dump(value) + ", expected a whole number from " + std::to_string(least) +
           " to " + std::to_string(most));
  }
  return value.get<int64_t>();
}

double StrictJson::Number(const char* key) const {
  const Json& value = Field(key, "a number");
  if (!value.is_number()) Refuse(std::string(key) + ": found " + Dump(value) + ", expected a number");
  return value.get<double>();
}

bool StrictJson::Boolean(const char* key) const {
  const Json& value = Field(key, "true or false");
  if (!value.is_boolean()) Refuse(std::string(key) + ": found " + Dump(value) + ", expected true or false");
  return value.get<bool>();
}

std::string StrictJson::Text(const char* key) const {
  const Json& value = Field(key, "a text");
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
    Refuse(std::string(key) + ": found " + Dump(value) + ", expected a text");
  }
  return value.get<std::string>();
}

void StrictJson::Expect(const char* key, const std::string& value) const {
  const Json& found = Field(key, ("'" + value + "'").c_str());
  if (found != value) Refuse(std::string(key) + ": found " + Dump(found) + ", expected '" + value + "'");
}

std::vector<int64_t> StrictJson::Shape(const char* key, int64_t largest) const {
  const Json& value = Field(key, "a list of sizes");
  bool is_shape = value.is_array();
  std::vector<int64_t> shape;
  for (const Json& size : value) {
    is_shape = is_shape && size.is_number_integer() && size >= 1 && size <= largest;
    if (is_shape) shape.push_back(size.get<int64_t>());
  }
  if (!is_shape) {
    Refuse(std::string(key) + ": found " + Dump(value) + ", expected a list of sizes from 1 to " +
           std::to_string(largest));
  }
  return shape;
}

std::vector<StrictJson> StrictJson::Objects(const char* key) const {
  const Json& value = Field(key, "a list");
  if (!value.is_array()) Refuse(std::string(key) + ": found " + Dump(value) + ", expected a list");
  std::vector<StrictJson> objects;
  for (const Json& each : value) {
    const std::string place = std::string(key) + "[" + std::to_string(objects.size()) + "]";
    if (!each.is_object()) Refuse(place + ": found " + Dump(each) + ", expected an object");
    objects.push_back(StrictJson(each, name_ + ": " + place, stage_));
  }
  return objects;
}

void StrictJson::Refuse(const std::string& message) const {
  throw Failure(stage_, name_ + ": " + message);
}

std::string Shown(const std::string& value) {
  return value.size() <= kShownCharacters ? value : value.substr(0, kShownCharacters) + "...";
}

}  // namespace gdprnn
