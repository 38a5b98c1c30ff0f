// Brings an exported network into the form in which the runtime takes it without conversion, so that it starts sooner
// and takes less memory.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bounds.h"
#include "crash_guard.h"
#include "description.h"
#include "digest.h"
#include "failure.h"
#include "file_bytes.h"
#include "hidden_folder.h"
#include "interrupts.h"
#include "mindspore_network.h"
#include "network_pool.h"
#include "output_file.h"
#include "program.h"
#include "runtime_converter.h"
#include "text.h"

namespace gdprnn {
namespace {

namespace fs = std::filesystem;

constexpr char kUsage[] =
    "Convert an exported network into the form in which gdprnn_infer starts soonest.\n\n"
    "  gdprnn_convert NET.mindir NET.ms\n\n"
    "NET.ms.json is written beside it. Both networks are compared before they appear. For a processor only.\n"
    "Exit codes: 0 done, 2 wrong options, 3 the network, 5 its run, 6 the output cannot be written, 130 interrupted.\n";
constexpr char kExtension[] = ".ms";
constexpr double kLargestDifference = 1e-4;  // of the output's peak

// The converter tells its success on standard output, where only this program's result belongs.
class SilentOutput {
 public:
  SilentOutput() : before_(dup(STDOUT_FILENO)) {
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, STDOUT_FILENO);
    close(nowhere);
  }
  ~SilentOutput() {
    std::fflush(stdout);
    dup2(before_, STDOUT_FILENO);
    close(before_);
  }
  SilentOutput(const SilentOutput&) = delete;
  SilentOutput& operator=(const SilentOutput&) = delete;

 private:
  int before_;
};

// Writes <stem>.ms and returns its bytes.
std::string Convert(const std::string& model_path, const std::string& stem) {
  const std::string cannot = model_path + ": the converter cannot take it";
  const CrashGuard guard("error: " + cannot + " (it crashed)\n", kModel);
  const SilentOutput silent;
  mindspore::Converter converter;
  converter.SetSaveType(mindspore::kMindIR_Lite);
  const auto status = converter.Convert(mindspore::converter::kFmkTypeMs, {model_path.begin(), model_path.end()},
                                        {stem.begin(), stem.end()}, {});
  if (status != mindspore::kSuccess) throw Failure(kModel, cannot + " (" + RuntimeReason(status) + "), expected a network that export.py wrote");
  return ReadFile(stem + kExtension, kMostModelBytes, kModel);
}

// The converter makes files that only their owner may read.
void SetUsualMode(const std::string& path) {
  const mode_t mask = umask(0);
  umask(mask);
  chmod(path.c_str(), 0666 & ~mask);
}

// The description of the converted network, whose bytes are `bytes`.
std::string Described(const std::string& model_path, const std::string& output_path, const std::string& bytes) {
  auto values = nlohmann::ordered_json::parse(ReadFile(model_path + ".json", kMostModelBytes, kModel));
  values["file"] = fs::path(output_path).filename().string();
  values["file_format"] = "MS";
  values["sha256"] = Sha256(bytes);
  return values.dump(1) + "\n";
}

// Noise that is the same every time, between -0.5 and 0.5.
std::vector<float> Noise(size_t num_samples) {
  std::vector<float> samples(num_samples);
  uint32_t state = 1;
  for (float& sample : samples) {
    state = state * 1664525 + 1013904223;
    sample = static_cast<float>(state >> 8) / static_cast<float>(1 << 24) - 0.5f;
  }
  return samples;
}

std::vector<float> RunOnNoise(const std::string& path, const std::string& bytes, const Description& description,
                              int64_t num_samples) {
  const Place place{Device::kCpu, 0, UsableCores()};
  MindSporeNetwork network(path, {bytes, fs::path(path).extension() == kExtension}, description, place);
  const std::vector<float> mixture = Noise(static_cast<size_t>(num_samples));
  std::vector<float> tracks(mixture.size() * static_cast<size_t>(description.num_speakers));
  const float* mixtures[] = {mixture.data()};
  float* outputs[] = {tracks.data()};
  network.Run(mixtures, outputs, 1, num_samples);
  return tracks;
}

// The largest difference between two networks, relative to the first one's peak.
double Difference(const std::vector<float>& expected, const std::vector<float>& found) {
  double largest = 0;
  double peak = 0;
  for (size_t at = 0; at < expected.size(); ++at) {
    largest = std::max(largest, std::fabs(static_cast<double>(expected[at]) - found[at]));
    peak = std::max(peak, std::fabs(static_cast<double>(expected[at])));
  }
  return peak > 0 ? largest / peak : largest;
}

void CheckPaths(const std::vector<std::string>& arguments) {
  if (arguments.size() != 2) {
    throw Failure(kOptions, Format("found %zu arguments, expected NET.mindir NET.ms (see --help)", arguments.size()));
  }
  if (fs::path(arguments[1]).extension() != kExtension) {
    throw Failure(kOptions, arguments[1] + ": expected a name that ends in .ms (see --help)");
  }
}

int Run(const std::vector<std::string>& arguments) {
  if (arguments == std::vector<std::string>{"--help"}) {
    std::fputs(kUsage, stdout);
    return kDone;
  }
  CheckPaths(arguments);
  const std::string& model_path = arguments[0];
  const std::string& output_path = arguments[1];
  WatchInterrupts("interrupted: nothing is written");
  const Description description = ReadDescription(model_path);
  const std::string bytes = ReadModel(model_path, description);
  const std::string folder = fs::path(output_path).parent_path().string();
  MakeOutputFolder(folder.empty() ? "." : folder);
  const HiddenFolder hidden(folder.empty() ? "." : folder);
  SetRuntimeLog(false);
  const std::string aside = hidden.path() + "/converted.ms";
  const std::string converted = Convert(model_path, hidden.path() + "/converted");
  SetUsualMode(aside);
  const int64_t num_samples = description.chunking.chunk_samples * 3 / 4 + 1;  // so the true length counts too
  const double difference = Difference(RunOnNoise(model_path, bytes, description, num_samples),
                                       RunOnNoise(aside, converted, description, num_samples));
  if (!(difference <= kLargestDifference)) {
    throw Failure(kModel, Format("%s: the converted network differs by %.1e of the peak, expected at most %.0e",
                                 model_path.c_str(), difference, kLargestDifference));
  }
  OutputFile file(aside + ".json", output_path + ".json");
  file.Write(Described(model_path, output_path, converted));
  file.Close();
  PutInPlace({{aside, output_path}, {aside + ".json", output_path + ".json"}});
  std::printf("%s -> %s  (largest difference %.1e of the peak)\n", model_path.c_str(), output_path.c_str(), difference);
  return kDone;
}

}  // namespace
}  // namespace gdprnn

int main(int argc, char** argv) {
  gdprnn::RunProgram(gdprnn::Run, argc, argv);
}
