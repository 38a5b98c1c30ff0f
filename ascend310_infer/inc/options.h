// What the command line asks for.
#ifndef GDPRNN_OPTIONS_H_
#define GDPRNN_OPTIONS_H_

#include <string>
#include <vector>

namespace gdprnn {

enum class Device { kCpu, kAscend };

enum class Engine {
  kFused,      // this program's own operators
  kMindSpore,  // MindSpore's runtime
};

// As --device and --engine take them.
std::string NameOf(Device device);
std::string NameOf(Engine engine);

// The defaults stand here; the help text is printed from them.
struct Options {
  std::string model_path;           // exported network; its description lies beside it
  std::vector<std::string> inputs;  // recordings, for the wav mode
  std::string index_path;           // index.json of a folder of inputs, for the model-zoo mode
  std::string output_dir;
  Device device = Device::kCpu;
  int device_id = 0;
  Engine engine = Engine::kFused;  // for Ascend, and for what gdprnn_convert made, kMindSpore
  bool use_bfloat16 = false;
  int num_threads = 0;  // 0: as many as there are cores for this process
  int batch_size = 0;     // chunks separated at the same time; 0: the exported batch size
  bool use_cache = true;  // of converted networks
  bool verbose = false;
  bool show_help = false;
  bool show_version = false;
};

// Reads the arguments after the program's name. Raises Failure(kOptions) for what is unknown, missing or no number.
Options ParseOptions(const std::vector<std::string>& arguments);

// What --help prints.
std::string Usage();

// What --version prints: the program and its version.
std::string VersionLine();

}  // namespace gdprnn

#endif  // GDPRNN_OPTIONS_H_
