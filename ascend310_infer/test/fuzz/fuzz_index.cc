// libFuzzer target: any text as the index.json of a folder of inputs. What is taken must be safe to act on.
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

#include "failure.h"
#include "index.h"

namespace {

void Check(const gdprnn::Index& index) {
  std::set<std::string> files;
  for (const gdprnn::IndexEntry& entry : index.entries) {
    const bool is_plain = !entry.file.empty() && entry.file.find('/') == std::string::npos && entry.file != "..";
    const bool is_sized = entry.num_samples >= 1 && entry.num_samples <= entry.row_length;
    if (!is_plain || !is_sized || !files.insert(entry.file).second) std::abort();
  }
  if (index.entries.empty() || index.sample_rate < 1 || index.num_speakers < 1) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  try {
    Check(gdprnn::ParseIndex(std::string(reinterpret_cast<const char*>(bytes), size), "folder/index.json"));
  } catch (const gdprnn::Failure& failure) {
    if (std::string(failure.what()).find("folder/index.json") == std::string::npos) std::abort();
  }
  return 0;
}
