// libFuzzer target: any bytes as a MINDIR. What is taken must have all its weights.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "failure.h"
#include "network_weights.h"

namespace {

constexpr int kArrays = 14;  // of a block

// Both ends of an array, where the sanitizers see what is not there.
void Touch(const float* values, int64_t count) {
  if (std::isinf(values[0]) && std::isinf(values[count - 1])) std::fputs("", stderr);
}

void Check(const GdprnnNetwork& network) {
  const int64_t channels = network.num_filters;
  const int64_t values = network.num_speakers * (channels / network.kernel_size);
  const int64_t gates = int64_t{8} * network.hidden_size;
  const int64_t sizes[kArrays] = {gates * channels, gates * network.hidden_size, gates, gates,
                                  gates * channels, gates * network.hidden_size, gates, gates,
                                  channels * 2 * network.hidden_size, channels,
                                  channels * 2 * network.hidden_size, channels,
                                  channels * 2 * channels, channels};
  Touch(network.encoder, channels * network.kernel_size);
  Touch(network.head, values * channels);
  Touch(network.head_bias, values);
  for (int block = 0; block < 2 * network.num_pairs; ++block) {
    for (int array = 0; array < kArrays; ++array) Touch(network.blocks[block * kArrays + array], sizes[array]);
  }
  if (channels < 2 || network.hidden_size < 2 || network.num_pairs < 1) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  gdprnn::Description description;
  description.num_speakers = 2;
  description.kernel_size = 2;
  description.chunk_frames = 10;
  try {
    const std::string file(reinterpret_cast<const char*>(bytes), size);
    Check(gdprnn::NetworkWeights(file, description, "net.mindir").network());
  } catch (const gdprnn::Failure& failure) {
    if (std::string(failure.what()).find("net.mindir") == std::string::npos) std::abort();
  }
  return 0;
}
