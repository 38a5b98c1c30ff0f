#include "options.h"

#include <charconv>
#include <functional>
#include <limits>
#include <map>
#include <sstream>

#include "bounds.h"
#include "failure.h"

namespace gdprnn {
namespace {

constexpr int kMostThreads = 4096;

[[noreturn]] void Refuse(const std::string& message) {
  throw Failure(kOptions, message + " (see --help)");
}

Device ParseDevice(const std::string& value) {
  if (value == "cpu") return Device::kCpu;
  if (value == "ascend") return Device::kAscend;
  Refuse("--device: found '" + value + "', expected cpu or ascend");
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

using Setter = std::function<void(Options&, const std::string& value)>;

const std::map<std::string, Setter>& Setters() {
  static const std::map<std::string, Setter> setters = {
      {"--model", [](Options& options, const std::string& value) { options.model_path = value; }},
      {"--input", [](Options& options, const std::string& value) { options.inputs.push_back(value); }},
      {"--index", [](Options& options, const std::string& value) { options.index_path = value; }},
      {"--output", [](Options& options, const std::string& value) { options.output_dir = value; }},
      {"--device", [](Options& options, const std::string& value) { options.device = ParseDevice(value); }},
      {"--device-id",
       [](Options& options, const std::string& value) {
         options.device_id = ParseNumber("--device-id", value, 0, std::numeric_limits<int>::max());
       }},
      {"--threads",
       [](Options& options, const std::string& value) {
         options.num_threads = ParseNumber("--threads", value, 1, kMostThreads);
       }},
      {"--batch",
       [](Options& options, const std::string& value) {
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

Options ParseOptions(const std::vector<std::string>& arguments) {
  Options options;
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
  if (!options.show_help && !options.show_version) CheckTogether(options);
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
       << "  --threads N      of the processor (as many as there are cores)\n"
          "  --batch N        chunks separated at the same time: on a processor any multiple of the batch size that\n"
          "                   the network was exported with (that batch size), but no more networks than threads\n"
          "  --no-cache       start from the MINDIR itself; otherwise the first run on a processor converts it, and keeps\n"
          "                   that in $XDG_CACHE_HOME/gdprnn or ~/.cache/gdprnn, so later ones start sooner\n"
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
