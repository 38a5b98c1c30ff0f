// Separates recordings with an exported network: from the options to the exit code.
//
// What needs MindSpore's runtime is done by a program of its own beside this one, because that runtime's libraries take
// 200 MB and a quarter of a second wherever they are loaded.
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "failure.h"
#include "fused_network.h"
#include "infer.h"
#include "options.h"
#include "program.h"
#include "text.h"

namespace gdprnn {
namespace {

constexpr char kMindSporeProgram[] = "gdprnn_infer_mindspore";  // beside this program

// In this process.
[[noreturn]] void BecomeMindSporeProgram(const std::vector<std::string>& arguments) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string program = (self.parent_path() / kMindSporeProgram).string();
  std::vector<char*> words = {const_cast<char*>(kMindSporeProgram)};
  for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  execv(program.c_str(), words.data());
  throw Failure(kModel, program + ": cannot be run (" + SystemReason(errno) + "), expected beside this program, because "
                            "the engine is mindspore");
}

int Run(const std::vector<std::string>& arguments) {
  const Options options = ParseOptions(arguments);
  if (options.engine == Engine::kMindSpore) BecomeMindSporeProgram(arguments);
  return Infer(options, MakeFusedNetworks);
}

}  // namespace
}  // namespace gdprnn

int main(int argc, char** argv) {
  gdprnn::RunProgram(gdprnn::Run, argc, argv);
}
