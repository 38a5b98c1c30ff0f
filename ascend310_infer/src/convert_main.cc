// Makes a network that starts sooner: what the runtime does with a MINDIR whenever it builds one is done once.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "crash_guard.h"
#include "description.h"
#include "digest.h"
#include "failure.h"
#include "file_bytes.h"
#include "hidden_folder.h"
#include "interrupts.h"
#include "lite_converter.h"
#include "network.h"
#include "nlohmann/json.hpp"
#include "output_file.h"

namespace gdprnn {
namespace {

constexpr char kUsage[] =
    "Convert an exported network for a processor to the form that the runtime builds soonest.\n\n"
    "  gdprnn_convert NET.mindir NET.ms\n\n"
    "NET.ms gives the same tracks, and gets a description of its own, NET.ms.json. It is for this version of the\n"
    "runtime. Exit codes as those of gdprnn_infer.\n";
constexpr char kEnding[] = ".ms";
constexpr char kInterrupted[] = "interrupted: nothing is left behind";
constexpr int64_t kMostBytes = int64_t{1} << 31;

std::vector<char> Characters(const std::string& text) {
  return std::vector<char>(text.begin(), text.end());
}

// Writes `path` + ".ms", as the converter names it.
void Convert(const std::string& model_path, const std::string& path) {
  const std::string cannot = model_path + ": cannot be converted";
  const CrashGuard guard("error: " + cannot + " (the converter crashed)\n", kModel);
  mindspore::Converter converter;
  converter.SetSaveType(mindspore::kMindIR_Lite);
  const auto status =
      converter.Convert(mindspore::converter::kFmkTypeMs, Characters(model_path), Characters(path), {});
  if (status != mindspore::kSuccess) {
    throw Failure(kModel, cannot + " (the converter's status is " + std::to_string(status.StatusCode()) + ")");
  }
}

// The description of the MINDIR, with the other file's name and checksum.
void WriteDescription(const std::string& model_path, const std::string& converted, const std::string& path,
                      const std::string& name) {
  auto description = nlohmann::ordered_json::parse(ReadFile(model_path + ".json", kMostBytes, kModel));
  description["file"] = name;
  description["sha256"] = Sha256(ReadFile(converted, kMostBytes, kOutput));
  OutputFile file(path, name + ".json");
  file.Write(description.dump(1) + "\n");
  file.Close();
}

int Run(const std::vector<std::string>& arguments) {
  if (arguments.size() == 1 && (arguments[0] == "--help" || arguments[0] == "-h")) {
    std::fputs(kUsage, stdout);
    return kDone;
  }
  if (arguments.size() != 2) throw Failure(kOptions, "expected two arguments, NET.mindir and NET.ms (see --help)");
  const std::string& model_path = arguments[0];
  const std::filesystem::path output = arguments[1];
  if (output.extension() != kEnding) {
    throw Failure(kOptions, output.string() + ": expected a name that ends in .ms, by which the program knows the form");
  }
  ReadModel(model_path, ReadDescription(model_path));
  WatchInterrupts(kInterrupted);
  const std::string parent = output.has_parent_path() ? output.parent_path().string() : ".";
  MakeOutputFolder(parent);
  const HiddenFolder folder(parent);
  const std::string aside = folder.path() + "/" + output.stem().string();
  Convert(model_path, aside);
  std::filesystem::permissions(aside + kEnding, std::filesystem::perms(0644));  // the converter leaves it read-only
  WriteDescription(model_path, aside + kEnding, aside + ".json", output.filename().string());
  PutInPlace({{aside + kEnding, output.string()}, {aside + ".json", output.string() + ".json"}});
  std::printf("%s, %s.json\n", output.c_str(), output.c_str());
  return kDone;
}

}  // namespace
}  // namespace gdprnn

int main(int argc, char** argv) {
  gdprnn::SetRuntimeLog(false);
  int exit_code = gdprnn::kDone;
  try {
    exit_code = gdprnn::Run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const gdprnn::Failure& failure) {
    std::fprintf(stderr, "error: %s\n", failure.what());
    exit_code = failure.stage();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    exit_code = gdprnn::kModel;
  }
  std::fflush(stdout);
  _Exit(exit_code);  // not through the runtime's destructors, which have threads to end
}
