// Runs an exported network as often as standard input has lines, for benchmarks/deployment.py.
//
//   network_worker_fused|network_worker_mindspore MODEL THREADS BATCH [OPTION ...]
//
// BATCH chunks at a time; further options are those of gdprnn_infer. Tells "ready" on standard output when
// it is, then the seconds of each run, and at the end the process's largest resident memory in kB.
#include <chrono>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "description.h"
#include "network_pool.h"
#include "options.h"
#ifdef GDPRNN_MINDSPORE
#include "mindspore_network.h"
constexpr auto kMakeNetworks = gdprnn::MakeMindSporeNetworks;
constexpr char kEngine[] = "mindspore";
#else
#include "fused_network.h"
constexpr auto kMakeNetworks = gdprnn::MakeFusedNetworks;
constexpr char kEngine[] = "fused";
#endif

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  std::vector<std::string> words = {"--model",  argv[1], "--threads", argv[2], "--batch",  argv[3],
                                    "--engine", kEngine, "--input",   "-",     "--output", "-"};
  words.insert(words.end(), argv + 4, argv + argc);
  const gdprnn::Options options = gdprnn::ParseOptions(words);
  const gdprnn::Description description = gdprnn::ReadDescription(options.model_path);
  const gdprnn::PoolPlan plan = gdprnn::PlanPool(options, description);
  gdprnn::NetworkPool pool(kMakeNetworks(options, description, plan), plan.batch_each);
  const auto num_rows = static_cast<size_t>(pool.batch_size());
  const int64_t length = description.chunking.chunk_samples;
  std::vector<std::vector<float>> mixtures(num_rows, std::vector<float>(static_cast<size_t>(length)));
  std::vector<std::vector<float>> tracks(num_rows,
                                         std::vector<float>(static_cast<size_t>(length * description.num_speakers)));
  std::vector<const float*> from;
  std::vector<float*> to;
  std::mt19937 random(0);
  std::normal_distribution<float> noise;
  for (size_t row = 0; row < num_rows; ++row) {
    for (float& sample : mixtures[row]) sample = 0.1f * noise(random);
    from.push_back(mixtures[row].data());
    to.push_back(tracks[row].data());
  }
  const gdprnn::SeparateBatch separate = pool.UseAll();
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    const auto began = std::chrono::steady_clock::now();
    separate(from, length, to);
    std::cout << std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count() << std::endl;
  }
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) std::cout << std::stol(line.substr(6)) << std::endl;
  }
  return 0;
}
