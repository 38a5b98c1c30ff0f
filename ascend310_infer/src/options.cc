#include "options.h"

#include <charconv>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <sstream>

#include "bounds.h"
#include "failure.h"

namespace gdprnn {
namespace {

constexpr int kMostThreads = 4096;
constexpr char kConverted[] = ".ms";  // what gdprnn_convert writes

[[noreturn]] void Refuse(const std::string& message) {
  throw Failure(kOptions, message + " (see --help)");
}

Device ParseDevice(const std::string& value) {
  if (value == "cpu") return Device::kCpu;
  if (value == "ascend") return Device::kAscend;
  Refuse("--device: found '" + value + "', expected cpu or ascend");
}

Engine ParseEngine(const std::string& value) {
  if (value == "fused") return Engine::kFused;
  if (value == "mindspore") return Engine::kMindSpore;
  Refuse("--engine: found '" + value + "', expected fused or mindspore");
}

bool ParseAmp(const std::string& value) {
  if (value != "none" && value != "bfloat16") Refuse("--amp: found '" + value + "', expected none or bfloat16");
  return value == "bfloat16";
}

int ParseNumber(const std::string& option, const std::string& value, int least, int most) {
  int number = 0;
  const char* end = value.data() + value.size();
  const auto [stopped, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc() || stopped != end || number < least || number > most) {
    Refuse(option + ": found '" + value + "', expected a whole number from " + std::to_string(least) + " to " +
           std::to_string(most));
  }
  return number;
}

// What is read; whether the engine is allowed is known when all is.
struct Words : Options {
  std::optional<Engine> given_engine;
};

using Setter = std::function<void(Words&, const std::string& value)>;

const std::map<std::string, Setter>& Setters() {
  static const std::map<std::string, Setter> setters = {
      {"--model", [](Words& options, const std::string& value) { options.model_path = value; }},
      {"--input", [](Words& options, const std::string& value) { options.inputs.push_back(value); }},
      {"--index", [](Words& options, const std::string& value) { options.index_path = value; }},
      {"--output", [](Words& options, const std::string& value) { options.output_dir = value; }},
      {"--device", [](Words& options, const std::string& value) { options.device = ParseDevice(value); }},
      {"--engine", [](Words& options, const std::string& value) { options.given_engine = ParseEngine(value); }},
      {"--amp", [](Words& options, const std::string& value) { options.use_bfloat16 = ParseAmp(value); }},
      {"--device-id",
       [](Words& options, const std::string& value) {
         options.device_id = ParseNumber("--device-id", value, 0, std::numeric_limits<int>::max());
       }},
      {"--threads",
       [](Words& options, const std::string& value) {
         options.num_threads = ParseNumber("--threads", value, 1, kMostThreads);
       }},
      {"--batch",
       [](Words& options, const std::string& value) {
         options.batch_size = ParseNumber("--batch", value, 1, kLargestBatch);
       }},
  };
  return setters;
}

// Sets one of the options that take no value; false for any other word.
bool SetSwitch(const std::string& word, Options& options) {
  if (word == "--help" || word == "-h") return options.show_help = true;
  if (word == "--version") return options.show_version = true;
  if (word == "--verbose") return options.verbose = true;
  if (word == "--no-cache") {
    options.use_cache = false;
    return true;
  }
  return false;
}

// Fused wherever it can be.
void ChooseEngine(Words* options) {
  const bool is_converted = std::filesystem::path(options->model_path).extension() == kConverted;
  const bool can_be_fused = options->device == Device::kCpu && !is_converted;
  if (options->given_engine == Engine::kFused && !can_be_fused) {
    Refuse("--engine: found fused " + (is_converted ? "with " + options->model_path : "for " + NameOf(options->device)) +
           ", expected mindspore");
  }
  options->engine = options->given_engine.value_or(can_be_fused ? Engine::kFused : Engine::kMindSpore);
  if (options->use_bfloat16 && options->engine == Engine::kMindSpore) {
    Refuse("--amp: found bfloat16 with the engine mindspore, expected none");
  }
}

void CheckTogether(const Options& options) {
  if (options.model_path.empty()) Refuse("--model is missing, expected an exported network");
  if (options.inputs.empty() == options.index_path.empty()) {
    Refuse(options.inputs.empty() ? "--input or --index is missing, expected one of them"
                                  : "found --input and --index, expected one of them");
  }
  if (options.output_dir.empty()) Refuse("--output is missing, expected a folder");
}

}  // namespace

std::string NameOf(Device device) {
  return device == Device::kCpu ? "cpu" : "ascend";
}

std::string NameOf(Engine engine) {
  return engine == Engine::kFused ? "fused" : "mindspore";
}

Options ParseOptions(const std::vector<std::string>& arguments) {
  Words options;
  for (size_t place = 0; place < arguments.size(); ++place) {
    std::string word = arguments[place];
    if (SetSwitch(word, options)) continue;
    const size_t equals = word.find('=');  // --name=value
    const bool is_joined = word.rfind("--", 0) == 0 && equals != std::string::npos;
    const std::string name = is_joined ? word.substr(0, equals) : word;
    const auto setter = Setters().find(name);
    if (setter == Setters().end()) Refuse("found '" + word + "', which is no option of this program");
    if (!is_joined && ++place == arguments.size()) Refuse(name + ": found no value after it, expected one");
    const std::string value = is_joined ? word.substr(equals + 1) : arguments[place];
    if (value.empty()) Refuse(name + ": found an empty value");
    setter->second(options, value);
  }
  if (options.show_help || options.show_version) return options;
  CheckTogether(options);
  ChooseEngine(&options);
  return options;
}

std::string Usage() {
  const Options defaults;
  std::ostringstream text;
  text << "Separate recordings of people who speak at the same time with an exported network: one file a speaker.\n\n"
          "  gdprnn_infer --model NET.mindir --input TALK.wav [--input MORE.flac ...] --output DIR\n"
          "  gdprnn_infer --model NET.mindir --index O/index.json --output R\n\n"
          "  --model FILE     exported by export.py; its description, FILE.json, lies beside it; or what\n"
          "                   gdprnn_convert has made of it\n"
          "  --input FILE     a recording of any length, rate and number of channels, in any format that libsndfile\n"
          "                   reads; writes DIR/NAME_s1.wav, DIR/NAME_s2.wav, ...; may be given several times\n"
          "  --index FILE     index.json of a folder that preprocess.py --mode infer310 wrote; writes one .bin for\n"
          "                   each of its inputs, and index.json last; goes on where it was interrupted\n"
          "  --output DIR     made if missing\n"
       << "  --device NAME    cpu or ascend (" << NameOf(defaults.device) << ")\n"
       << "  --device-id N    which Ascend device (" << defaults.device_id << ")\n"
       << "  --engine NAME    fused: this program's own operators; mindspore: MindSpore's runtime (fused on a processor,\n"
          "                   mindspore on Ascend and for what gdprnn_convert has made)\n"
          "  --amp NAME       bfloat16: the fused products in half precision, on processors that have them; or none (none)\n"
          "  --threads N      of the processor (as many as there are cores)\n"
          "  --batch N        chunks separated at the same time (as many as the network was exported for); with mindspore\n"
          "                   a multiple of that, but no more networks than threads, and on Ascend exactly that\n"
          "  --no-cache       with mindspore: start from the MINDIR itself; otherwise the first run on a processor converts\n"
          "                   it, and keeps that in $XDG_CACHE_HOME/gdprnn or ~/.cache/gdprnn, so later ones start sooner\n"
          "  --verbose        tell the start-up time, and let the runtime log\n"
          "  --version, --help\n\n"
          "Exit codes: 0 done, 2 wrong options, 3 the network or its description, 4 an input, 5 the network's run,\n"
          "6 an output cannot be written, 130 interrupted.\n";
  return text.str();
}

std::string VersionLine() {
  return "gdprnn_infer " GDPRNN_VERSION "\n";
}

}  // namespace gdprnn
