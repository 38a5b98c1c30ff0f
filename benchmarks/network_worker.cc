// Runs an exported network as often as standard input has lines, for benchmarks/deployment.py.
//
//   network_worker MODEL THREADS NETWORKS cache|no-cache
//
// NETWORKS copies of the network, each with its own THREADS, run at the same time. Tells "ready" on standard output when
// it is, then the seconds of each run, and at the end the process's largest resident memory in kB.
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "description.h"
#include "network_pool.h"
#include "options.h"

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  gdprnn::Options options;
  options.model_path = argv[1];
  options.use_cache = std::string(argv[4]) == "cache";
  const gdprnn::Description description = gdprnn::ReadDescription(options.model_path);
  gdprnn::NetworkPool pool(options, description, {std::atoi(argv[3]), std::atoi(argv[2])});
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
