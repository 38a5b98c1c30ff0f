#include "network_weights.h"

#include <doctest/doctest.h>

#include <numeric>

#include "test_folder.h"
#include "wire_format.h"

namespace gdprnn {
namespace {

// Protocol buffers, written.
std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>((value & 0x7f) | 0x80));
  bytes.push_back(static_cast<char>(value));
  return bytes;
}

std::string NumberField(uint64_t number, uint64_t value) {
  return Varint(number << 3) + Varint(value);
}

std::string BytesField(uint64_t number, const std::string& bytes) {
  return Varint(number << 3 | 2) + Varint(bytes.size()) + bytes;
}

// A weight whose values count up from `first`.
std::string Weight(const std::string& name, const std::vector<int64_t>& dims, float first) {
  const int64_t count = std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
  std::vector<float> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), first);
  std::string bytes;
  for (const int64_t dim : dims) bytes += NumberField(1, static_cast<uint64_t>(dim));
  bytes += NumberField(2, 1) + BytesField(7, "graph:" + name);
  bytes += BytesField(9, std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
  return BytesField(3, bytes);
}

// N = 4, L = 2, H = 2, C = 2, R = 1.
std::string Parameters() {
  std::string graph = Weight("encoder_weight", {4, 2}, 0);
  for (const std::string block : {"along.0.", "across.0."}) {
    const int64_t inputs = block == "along.0." ? 4 : 5;
    for (const std::string part : {"", "gate_"}) {
      graph += Weight(block + part + "lstm.weight", {2 * 8 * (inputs + 2 + 1), 1, 1}, 100);
      graph += Weight(block + part + "projection.weight", {4, 4}, 200);
      graph += Weight(block + part + "projection.bias", {4}, 300);
    }
    graph += Weight(block + "output.weight", {4, 8}, 400) + Weight(block + "output.bias", {4}, 500);
  }
  return graph + Weight("head.weight", {4, 4}, 600) + Weight("head.bias", {4}, 700);
}

Description Small() {
  Description description;
  description.num_speakers = 2;
  description.kernel_size = 2;
  description.chunk_frames = 10;
  description.prelu_slope = 0.25;
  return description;
}

std::string FailureWith(const std::string& graph) {
  return FailureOf([&] { NetworkWeights(BytesField(7, graph), Small(), "net.mindir"); });
}

TEST_CASE("weights are read as the operators take them") {
  const std::string bytes = NumberField(13, 1) + BytesField(7, BytesField(2, "a name") + Parameters());
  const NetworkWeights weights(bytes, Small(), "net.mindir");
  const GdprnnNetwork& network = weights.network();
  CHECK(network.num_speakers == 2);
  CHECK(network.num_filters == 4);
  CHECK(network.kernel_size == 2);
  CHECK(network.hidden_size == 2);
  CHECK(network.num_pairs == 1);
  CHECK(network.chunk_frames == 10);
  CHECK(network.normalize_level == 0);
  CHECK(network.prelu_slope == 0.25f);
  CHECK(network.encoder[7] == 7);
  CHECK(network.head[1] == 2 * 601);  // for the mean, not the sum
  CHECK(network.head_bias[3] == 2 * 703);
  const float* const* across = network.blocks + 14;
  CHECK(network.blocks[0][4] == 104);  // the second row, after four inputs
  CHECK(across[0][4] == 105);          // after five, of which the last closes the LSTM
  CHECK(across[1][0] == 100 + 16 * 5);
  CHECK(across[2][0] == 100 + 16 * 5 + 16 * 2);
  CHECK(across[3][0] == 0);
  CHECK(across[8][0] == 200);
  CHECK(across[9][1] == 301);
  CHECK(across[12][4] == 404 - 1);  // the sum with the input
  CHECK(across[12][5] == 405);
  CHECK(across[12][13] == 413 - 1);
  CHECK(across[13][2] == 502);
}

TEST_CASE("dimensions may come in one field") {
  std::string graph = Parameters();
  const std::string apart = NumberField(1, 4) + NumberField(1, 2);
  const size_t place = graph.find(apart);  // of the encoder
  REQUIRE(place != std::string::npos);
  graph.replace(place, apart.size(), BytesField(1, Varint(4) + Varint(2)));
  CHECK(NetworkWeights(BytesField(7, graph), Small(), "net.mindir").network().num_filters == 4);
}

TEST_CASE("what is missing or has another size is told") {
  CHECK(FailureWith("") ==
        "3 net.mindir: found no weight encoder_weight, expected a network that export.py wrote for a CPU");
  CHECK(Contains(FailureWith(Weight("encoder_weight", {3, 2}, 0)), "encoder_weight: found 3 for the channels N"));
  CHECK(Contains(FailureWith(Weight("encoder_weight", {4}, 0)), "encoder_weight: found 0 for the channels N"));
  CHECK(Contains(FailureWith(Replaced(Parameters(), "across.0.output.bias", "across.0.output.base")),
                 "found no weight across.0.output.bias"));
  CHECK(FailureWith(Replaced(Parameters(), Weight("head.bias", {4}, 700), Weight("head.bias", {5}, 700))) ==
        "3 net.mindir: head.bias: found 20 bytes of type 1, expected 16 of type 1, float32");
}

TEST_CASE("what is no message is told") {
  const std::string whole = BytesField(7, Parameters());
  const auto failure_of = [](const std::string& bytes) {
    return FailureOf([&] { NetworkWeights(bytes, Small(), "net.mindir"); });
  };
  CHECK(failure_of(whole) == "none");
  CHECK(failure_of(whole.substr(0, whole.size() - 1)) ==
        "3 net.mindir: found a field that is longer than the message, expected a network that export.py wrote");
  CHECK(Contains(failure_of(std::string(11, '\xff')), "found a number that does not end"));
  CHECK(Contains(failure_of("\x0f"), "found a field of an unknown kind"));
}

TEST_CASE("fields of every kind are read or passed over") {
  const std::string bytes = Varint(1 << 3 | 1) + std::string(8, 'x') + Varint(2 << 3 | 5) + std::string(4, 'y') +
                            NumberField(3, 300) + BytesField(4, "text");
  WireMessage message(bytes);
  WireField field;
  for (const uint64_t number : {1, 2, 3, 4}) {
    REQUIRE(message.Next(&field));
    CHECK(field.number == number);
    CHECK(field.value == (number == 3 ? 300 : 0));
    CHECK(field.bytes == (number == 4 ? "text" : ""));
  }
  CHECK_FALSE(message.Next(&field));
}

}  // namespace
}  // namespace gdprnn
