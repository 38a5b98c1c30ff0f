// What several tests need: a folder of their own, and the failure that something raises.
#ifndef GDPRNN_TEST_FOLDER_H_
#define GDPRNN_TEST_FOLDER_H_

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include "failure.h"

namespace gdprnn {

// A temporary folder.
class TestFolder {
 public:
  TestFolder() : path_((std::filesystem::temp_directory_path() / "gdprnn-test-XXXXXX").string()) {
    if (mkdtemp(path_.data()) == nullptr) abort();
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string PathOf(const std::string& name) const { return path_ + "/" + name; }

  std::string Write(const std::string& name, const std::string& content) const {
    std::ofstream(PathOf(name), std::ios::binary) << content;
    return PathOf(name);
  }

 private:
  std::string path_;
};

inline std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

// "<exit code> <message>" of the failure, or "none".
inline std::string FailureOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Failure& failure) {
    return std::to_string(failure.stage()) + " " + failure.what();
  }
  return "none";
}

inline bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t place = text.find(from);
  return place == std::string::npos ? "nothing was replaced" : text.replace(place, from.size(), to);
}

}  // namespace gdprnn

#endif  // GDPRNN_TEST_FOLDER_H_
