// libFuzzer target: any text as the description beside an exported network. What is taken must be consistent.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "description.h"
#include "failure.h"

namespace {

void Check(const gdprnn::Description& description) {
  const std::vector<int64_t> tracks = {description.batch_size, description.num_speakers,
                                       description.chunking.chunk_samples};
  const bool has_tensors = description.inputs.size() == 2 && description.outputs.size() == 1;
  if (!has_tensors || description.outputs[0].shape != tracks) std::abort();
  if (description.chunking.overlap_samples < 0) std::abort();
  if (2 * description.chunking.overlap_samples > description.chunking.chunk_samples) std::abort();
  if (description.sample_rate < 1 || description.num_speakers < 1 || description.batch_size < 1) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  try {
    Check(gdprnn::ParseDescription(std::string(reinterpret_cast<const char*>(bytes), size), "net.mindir.json"));
  } catch (const gdprnn::Failure& failure) {
    if (std::string(failure.what()).find("net.mindir.json") == std::string::npos) std::abort();
  }
  return 0;
}
