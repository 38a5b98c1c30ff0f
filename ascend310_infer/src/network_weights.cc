#include "network_weights.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "failure.h"
#include "wire_format.h"

namespace gdprnn {
namespace {

// Fields of MindSpore's mind_ir.proto: of the model, its graph and a parameter of that.
enum Field : uint64_t { kGraph = 7, kParameter = 3, kDims = 1, kDataType = 2, kName = 7, kRawData = 9 };

constexpr uint64_t kFloat32 = 1;
constexpr size_t kMostDims = 8;
constexpr int64_t kMostSize = 1 << 16;  // of N, H and C * N / L
constexpr int64_t kMostPairs = 1 << 12;
constexpr int64_t kGates = 4;
constexpr int64_t kDirections = 2;

struct Tensor {
  std::vector<int64_t> dims;
  uint64_t data_type = 0;
  std::string_view raw;
};

using Tensors = std::map<std::string, Tensor>;

// A list of whole numbers comes as one field of bytes, or as a field for each.
void ReadDims(const WireField& field, std::vector<int64_t>* dims) {
  if (!field.has_bytes) {
    dims->push_back(static_cast<int64_t>(field.value));
  } else {
    for (std::string_view left = field.bytes; !left.empty() && dims->size() <= kMostDims;) {
      dims->push_back(static_cast<int64_t>(TakeVarint(&left)));
    }
  }
  if (dims->size() > kMostDims) throw std::invalid_argument("a weight with too many dimensions");
}

// The part of a weight's name that tells it: after the graph's.
std::string OwnName(std::string_view name) {
  const size_t colon = name.rfind(':');
  return std::string(colon == std::string_view::npos ? name : name.substr(colon + 1));
}

void ReadTensor(std::string_view bytes, Tensors* tensors) {
  Tensor tensor;
  std::string name;
  WireMessage message(bytes);
  for (WireField field; message.Next(&field);) {
    if (field.number == kDims) ReadDims(field, &tensor.dims);
    if (field.number == kDataType) tensor.data_type = field.value;
    if (field.number == kName) name = OwnName(field.bytes);
    if (field.number == kRawData) tensor.raw = field.bytes;
  }
  (*tensors)[name] = std::move(tensor);
}

Tensors ReadTensors(const std::string& bytes) {
  Tensors tensors;
  WireMessage model(bytes);
  for (WireField part; model.Next(&part);) {
    if (part.number != kGraph || !part.has_bytes) continue;
    WireMessage graph(part.bytes);
    for (WireField field; graph.Next(&field);) {
      if (field.number == kParameter && field.has_bytes) ReadTensor(field.bytes, &tensors);
    }
  }
  return tensors;
}

// Weights by name; all members raise Failure(kModel).
class Source {
 public:
  Source(Tensors tensors, std::string path) : tensors_(std::move(tensors)), path_(std::move(path)) {}

  bool Has(const std::string& name) const { return tensors_.count(name) > 0; }

  // One of the sizes of a matrix, `what` in words.
  int64_t Size(const std::string& name, size_t axis, const char* what) const {
    const Tensor& tensor = Find(name);
    const int64_t size = tensor.dims.size() == 2 ? tensor.dims[axis] : 0;
    if (size < 2 || size > kMostSize || size % 2 != 0) {
      throw Failure(kModel, path_ + ": " + name + ": found " + std::to_string(size) + " for " + what +
                                ", expected an even number from 2 to " + std::to_string(kMostSize) +
                                "; --engine mindspore takes others");
    }
    return size;
  }

  // All values of a weight.
  std::vector<float> Values(const std::string& name, int64_t count) const {
    const Tensor& tensor = Find(name);
    const auto expected = static_cast<size_t>(count) * sizeof(float);
    if (tensor.data_type != kFloat32 || tensor.raw.size() != expected) {
      throw Failure(kModel, path_ + ": " + name + ": found " + std::to_string(tensor.raw.size()) + " bytes of type " +
                                std::to_string(tensor.data_type) + ", expected " + std::to_string(expected) +
                                " of type 1, float32");
    }
    std::vector<float> values(static_cast<size_t>(count));
    std::memcpy(values.data(), tensor.raw.data(), expected);
    return values;
  }

 private:
  const Tensor& Find(const std::string& name) const {
    const auto place = tensors_.find(name);
    if (place == tensors_.end()) {
      throw Failure(kModel, path_ + ": found no weight " + name + ", expected a network that export.py wrote for a CPU");
    }
    return place->second;
  }

  Tensors tensors_;
  std::string path_;
};

// Both directions, as exported: inputs [2, 4H, N or N + 1], recurrent [2, 4H, H], bias [2, 4H]. The channel that closes
// an LSTM across the chunks is left out: here no chunk is more than the mixture has.
void AppendLstm(const std::vector<float>& values, int64_t channels, int64_t inputs, int64_t hidden,
                std::vector<std::vector<float>>* arrays) {
  const int64_t rows = kDirections * kGates * hidden;
  std::vector<float> ih(static_cast<size_t>(rows * channels));
  for (int64_t row = 0; row < rows; ++row) std::copy_n(values.begin() + row * inputs, channels, ih.begin() + row * channels);
  const auto recurrent = values.begin() + rows * inputs;
  const auto bias = recurrent + rows * hidden;
  arrays->push_back(std::move(ih));
  arrays->emplace_back(recurrent, bias);
  arrays->emplace_back(bias, bias + rows);
  arrays->emplace_back(static_cast<size_t>(rows));  // the two biases were exported as their sum
}

void AppendBlock(const Source& source, const std::string& block, int64_t channels, int64_t hidden, bool is_closable,
                 std::vector<std::vector<float>>* arrays) {
  const int64_t inputs = channels + (is_closable ? 1 : 0);
  const int64_t lstm_values = kDirections * kGates * hidden * (inputs + hidden + 1);
  for (const char* lstm : {"lstm", "gate_lstm"}) {
    AppendLstm(source.Values(block + lstm + ".weight", lstm_values), channels, inputs, hidden, arrays);
  }
  for (const char* projection : {"projection", "gate_projection"}) {
    arrays->push_back(source.Values(block + projection + ".weight", channels * kDirections * hidden));
    arrays->push_back(source.Values(block + projection + ".bias", channels));
  }
  std::vector<float> output = source.Values(block + "output.weight", channels * 2 * channels);
  for (int64_t row = 0; row < channels; ++row) {  // the sum with the input was exported as a part of it
    output[static_cast<size_t>(row * 2 * channels + channels + row)] -= 1.0f;
  }
  arrays->push_back(std::move(output));
  arrays->push_back(source.Values(block + "output.bias", channels));
}

// The head was exported for the sum of a frame's two places, and is for their mean here.
std::vector<float> Doubled(std::vector<float> values) {
  for (float& value : values) value *= 2.0f;
  return values;
}

int32_t CountPairs(const Source& source) {
  int32_t count = 0;
  while (count < kMostPairs && source.Has("along." + std::to_string(count) + ".output.bias")) ++count;
  return std::max(count, 1);  // so that the first weight that is missing is told
}

Tensors ReadOrRefuse(const std::string& bytes, const std::string& path) {
  try {
    return ReadTensors(bytes);
  } catch (const std::invalid_argument& error) {
    throw Failure(kModel, path + ": found " + error.what() + ", expected a network that export.py wrote");
  }
}

}  // namespace

NetworkWeights::NetworkWeights(const std::string& bytes, const Description& description, const std::string& path) {
  const Source source(ReadOrRefuse(bytes, path), path);
  const int64_t channels = source.Size("encoder_weight", 0, "the channels N");
  const int64_t hidden = source.Size("along.0.projection.weight", 1, "the units 2 H") / kDirections;
  const int64_t kernel = description.kernel_size;
  if (hidden % 2 != 0 || kernel % 2 != 0 || channels % kernel != 0) {
    throw Failure(kModel, path + ": found H = " + std::to_string(hidden) + ", L = " + std::to_string(kernel) + ", N = " +
                              std::to_string(channels) +
                              ", expected even numbers, N a multiple of L; --engine mindspore takes others");
  }
  const int64_t values = description.num_speakers * (channels / kernel);
  const int32_t num_pairs = CountPairs(source);
  arrays_.push_back(source.Values("encoder_weight", channels * kernel));
  arrays_.push_back(Doubled(source.Values("head.weight", values * channels)));
  arrays_.push_back(Doubled(source.Values("head.bias", values)));
  const size_t first_of_blocks = arrays_.size();
  for (int32_t pair = 0; pair < num_pairs; ++pair) {
    AppendBlock(source, "along." + std::to_string(pair) + ".", channels, hidden, false, &arrays_);
    AppendBlock(source, "across." + std::to_string(pair) + ".", channels, hidden, true, &arrays_);
  }
  for (size_t place = first_of_blocks; place < arrays_.size(); ++place) blocks_.push_back(arrays_[place].data());
  network_ = {description.num_speakers,
              static_cast<int32_t>(channels),
              description.kernel_size,
              static_cast<int32_t>(hidden),
              num_pairs,
              description.chunk_frames,
              description.normalize_level ? 1 : 0,
              static_cast<float>(description.prelu_slope),
              arrays_[0].data(),
              blocks_.data(),
              arrays_[1].data(),
              arrays_[2].data()};
}

}  // namespace gdprnn
