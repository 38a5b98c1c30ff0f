#include "network_pool.h"

#include <sched.h>

#include <algorithm>
#include <future>
#include <utility>

#include "failure.h"

namespace gdprnn {

int UsableCores() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) != 0) return 1;
  return std::max(1, CPU_COUNT(&cores));
}

PoolPlan PlanPool(const Options& options, const Description& description) {
  const int exported = description.batch_size;
  const int wanted = options.batch_size == 0 ? exported : options.batch_size;
  const int num_threads = options.num_threads == 0 ? UsableCores() : options.num_threads;
  if (options.engine == Engine::kFused) return {1, num_threads, wanted};
  const bool is_allowed = options.device == Device::kAscend ? wanted == exported : wanted % exported == 0;
  if (!is_allowed) {
    throw Failure(kOptions, "--batch: found " + std::to_string(wanted) + ", expected " +
                                (options.device == Device::kAscend ? "" : "a multiple of ") +
                                std::to_string(exported) + ", the batch size that " + options.model_path +
                                " was exported with");
  }
  const int num_networks = std::min(wanted / exported, num_threads);  // more of them would only share the threads
  return {num_networks, num_threads / num_networks, exported};
}

NetworkPool::NetworkPool(Networks networks, int batch_each)
    : networks_(std::move(networks)), batch_size_(static_cast<size_t>(batch_each)) {}

SeparateBatch NetworkPool::UseOne(size_t place) {
  Network* network = networks_[place].get();
  return [network](const std::vector<const float*>& mixtures, int64_t num_samples, std::vector<float*> tracks) {
    network->Run(mixtures.data(), tracks.data(), mixtures.size(), num_samples);
  };
}

SeparateBatch NetworkPool::UseAll() {
  return [this](const std::vector<const float*>& mixtures, int64_t num_samples, std::vector<float*> tracks) {
    std::vector<std::future<void>> others;  // they are waited for whatever happens
    for (size_t place = 0; place * batch_size_ < mixtures.size(); ++place) {
      const size_t first = place * batch_size_;
      const size_t count = std::min(batch_size_, mixtures.size() - first);
      Network* network = networks_[place].get();
      others.push_back(std::async(std::launch::async, [=, &mixtures, &tracks] {
        network->Run(mixtures.data() + first, tracks.data() + first, count, num_samples);
      }));
    }
    for (std::future<void>& other : others) other.get();
  };
}

}  // namespace gdprnn
