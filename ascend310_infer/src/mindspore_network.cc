#include "mindspore_network.h"

#include <dlfcn.h>
#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "crash_guard.h"
#include "failure.h"
#include "include/api/context.h"
#include "include/api/model.h"
#include "include/api/status.h"
#include "include/api/types.h"
#include "library_pages.h"

namespace gdprnn {
namespace {

constexpr char kMore[] = "; --verbose lets it tell more";
constexpr char kLogVariable[] = "GLOG_v";
// Left to itself the device computes in float16, which cannot count the samples of a chunk; so as exported.
constexpr char kPrecision[] = "enforce_origin";
constexpr int kExceptionsOnly = 4;  // of the runtime's levels: debug, info, warning, error, exception

std::shared_ptr<mindspore::Context> MakeContext(const Place& place) {
  auto context = std::make_shared<mindspore::Context>();
  context->SetThreadNum(place.num_threads);
  if (place.device == Device::kAscend) {
    auto ascend = std::make_shared<mindspore::AscendDeviceInfo>();
    ascend->SetDeviceID(static_cast<uint32_t>(place.device_id));
    ascend->SetPrecisionMode(kPrecision);
    context->MutableDeviceInfo().push_back(ascend);
  } else {
    context->MutableDeviceInfo().push_back(std::make_shared<mindspore::CPUDeviceInfo>());
  }
  return context;
}

std::string NameOf(mindspore::DataType type) {
  if (type == mindspore::DataType::kNumberTypeFloat32) return "float32";
  if (type == mindspore::DataType::kNumberTypeInt32) return "int32";
  return "type " + std::to_string(static_cast<int>(type));
}

std::vector<TensorDescription> Describe(const std::vector<mindspore::MSTensor>& tensors) {
  std::vector<TensorDescription> described;
  for (const mindspore::MSTensor& tensor : tensors) {
    described.push_back({tensor.Name(), NameOf(tensor.DataType()), tensor.Shape()});
  }
  return described;
}

}  // namespace

std::string RuntimeReason(const mindspore::Status& status) {
  std::string text = status.ToString();
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (!text.empty() && (text.back() == ' ' || text.back() == '.')) text.pop_back();
  return "it says '" + (text.empty() ? "status " + std::to_string(status.StatusCode()) : text) + "'";
}

struct MindSporeNetwork::Runtime {
  mindspore::Model model;
  std::vector<mindspore::MSTensor> inputs;
  std::vector<mindspore::MSTensor> outputs;
};

// The runtime asks for the variable GLOG_v now, but takes its value from where its logging library put it when that was
// loaded. What the user has set stands.
void SetRuntimeLog(bool verbose) {
  if (verbose || getenv(kLogVariable) != nullptr) return;
  setenv(kLogVariable, std::to_string(kExceptionsOnly).c_str(), 1);
  auto* const level = static_cast<int*>(dlsym(RTLD_DEFAULT, "_ZN3fLI7FLAGS_vE"));
  if (level != nullptr) *level = kExceptionsOnly;
}

MindSporeNetwork::MindSporeNetwork(const std::string& path, const NetworkFile& file, const Description& description, const Place& place)
    : path_(path), description_(description), runtime_(std::make_unique<Runtime>()) {
  const std::string cannot = path + ": the runtime cannot build it for " + NameOf(place.device);
  try {
    const CrashGuard guard("error: " + cannot + " (it crashed), expected a network that export.py wrote\n", kModel);
    const auto type = file.is_converted ? mindspore::kMindIR_Lite : mindspore::kMindIR;
    const auto status = runtime_->model.Build(file.bytes.data(), file.bytes.size(), type, MakeContext(place));
    if (status != mindspore::kSuccess) throw Failure(kModel, cannot + " (" + RuntimeReason(status) + kMore + "), expected a network that export.py wrote");
    runtime_->inputs = runtime_->model.GetInputs();
    CheckTensors(path, Describe(runtime_->inputs), description.inputs, "inputs");
    std::vector<TensorDescription> outputs = Describe(runtime_->model.GetOutputs());
    if (outputs.size() == 1) outputs[0].name = description.outputs[0].name;  // the runtime gives it one of its own
    CheckTensors(path, outputs, description.outputs, "outputs");
  } catch (const Failure&) {
    throw;
  } catch (const std::exception& error) {  // of the runtime
    throw Failure(kModel, cannot + " (it says '" + error.what() + "')");
  }
}

MindSporeNetwork::~MindSporeNetwork() = default;

void MindSporeNetwork::Run(const float* const* mixtures, float* const* tracks, size_t num_mixtures, int64_t num_samples) {
  const std::string cannot = path_ + ": the runtime cannot run it on the input";
  try {
    const CrashGuard guard("error: " + cannot + " (it crashed)\n", kInference);
    FillInputs(mixtures, num_mixtures, num_samples);
    const auto status = runtime_->model.Predict(runtime_->inputs, &runtime_->outputs);
    if (status != mindspore::kSuccess) throw Failure(kInference, cannot + " (" + RuntimeReason(status) + kMore + ")");
    const auto num_values = static_cast<size_t>(description_.batch_size * description_.num_speakers *
                                                description_.chunking.chunk_samples);
    if (runtime_->outputs.size() != 1 || runtime_->outputs[0].DataSize() != num_values * sizeof(float)) {
      throw Failure(kInference, cannot + ": found an output of another size than before");
    }
    const auto output = runtime_->outputs[0].Data();
    CopyTracks(static_cast<const float*>(output.get()), tracks, num_mixtures, num_samples);
  } catch (const Failure&) {
    throw;
  } catch (const std::exception& error) {  // of the runtime
    throw Failure(kInference, cannot + " (it says '" + error.what() + "')");
  }
}

// Rows without a mixture are one sample of silence.
void MindSporeNetwork::FillInputs(const float* const* mixtures, size_t num_mixtures, int64_t num_samples) {
  const auto num_rows = static_cast<size_t>(description_.batch_size);
  const auto row_length = static_cast<size_t>(description_.chunking.chunk_samples);
  auto* rows = static_cast<float*>(runtime_->inputs[0].MutableData());
  auto* lengths = static_cast<int32_t*>(runtime_->inputs[1].MutableData());
  if (rows == nullptr || lengths == nullptr) throw Failure(kInference, path_ + ": the runtime gave no memory");
  std::fill(rows, rows + num_rows * row_length, 0.0f);
  for (size_t row = 0; row < num_rows; ++row) {
    lengths[row] = row < num_mixtures ? static_cast<int32_t>(num_samples) : 1;
    if (row < num_mixtures) std::copy_n(mixtures[row], num_samples, rows + row * row_length);
  }
}

void MindSporeNetwork::CopyTracks(const float* output, float* const* tracks, size_t num_mixtures, int64_t num_samples) const {
  const auto count = static_cast<size_t>(description_.num_speakers);
  const auto row_length = static_cast<size_t>(description_.chunking.chunk_samples);
  const auto length = static_cast<size_t>(num_samples);
  for (size_t place = 0; place < num_mixtures * count; ++place) {
    const float* from = output + place * row_length;
    CheckFinite(path_, from, length);
    std::copy_n(from, length, tracks[place / count] + place % count * length);
  }
}

Networks MakeMindSporeNetworks(const Options& options, const Description& description, const PoolPlan& plan) {
  ReleaseLibraryPages();
  const NetworkFile file = ReadNetwork(options, description);
  SetRuntimeLog(options.verbose);
  const Place place{options.device, options.device_id, plan.threads_each};
  Networks networks;
  for (int number = 0; number < plan.num_networks; ++number) {
    networks.push_back(std::make_unique<MindSporeNetwork>(options.model_path, file, description, place));
  }
  ReleaseLibraryPages();
  return networks;
}

}  // namespace gdprnn
