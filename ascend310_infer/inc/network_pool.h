// Several copies of one network, side by side.
#ifndef GDPRNN_NETWORK_POOL_H_
#define GDPRNN_NETWORK_POOL_H_

#include <memory>
#include <string>
#include <vector>

#include "description.h"
#include "network.h"
#include "options.h"
#include "stitching.h"

namespace gdprnn {

// How many networks share how many threads.
struct PoolPlan {
  int num_networks = 1;
  int threads_each = 1;
};

// Raises Failure(kOptions) unless --batch is one that the network and the device allow.
PoolPlan PlanPool(const Options& options, const Description& description);

// The networks, built one after the other.
class NetworkPool {
 public:
  // Reads the network at `options.model_path`.
  // Raises Failure(kModel): the file is missing, not that of its description, or nothing that the runtime takes.
  NetworkPool(const Options& options, const Description& description, const PoolPlan& plan);

  size_t size() const { return networks_.size(); }
  int batch_size() const { return static_cast<int>(networks_.size() * batch_size_); }  // of UseAll

  // At most size() * B mixtures at a time, on all networks at once. The pool must outlive what is returned.
  SeparateBatch UseAll();

  // At most B mixtures at a time, on one of the networks.
  SeparateBatch UseOne(size_t place);

 private:
  size_t batch_size_;  // B
  std::vector<std::unique_ptr<Network>> networks_;
};

// Cores that this process may run on, which a container or taskset can make fewer than there are.
int UsableCores();

}  // namespace gdprnn

#endif  // GDPRNN_NETWORK_POOL_H_
