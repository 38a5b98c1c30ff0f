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

using Networks = std::vector<std::unique_ptr<Network>>;

// How many networks share how many threads, and how many mixtures each takes at a time.
struct PoolPlan {
  int num_networks = 1;
  int threads_each = 1;
  int batch_each = 1;
};

// Raises Failure(kOptions) unless --batch is one that the network, the engine and the device allow.
PoolPlan PlanPool(const Options& options, const Description& description);

class NetworkPool {
 public:
  // `batch_each`: mixtures that each network takes at a time.
  NetworkPool(Networks networks, int batch_each);

  size_t size() const { return networks_.size(); }
  int batch_size() const { return static_cast<int>(networks_.size() * batch_size_); }  // of UseAll
  int batch_each() const { return static_cast<int>(batch_size_); }                      // of UseOne

  // At most batch_size() mixtures at a time, on all networks at once. The pool must outlive what is returned.
  SeparateBatch UseAll();

  // On one of the networks.
  SeparateBatch UseOne(size_t place);

 private:
  Networks networks_;
  size_t batch_size_;  // of each
};

// Cores that this process may run on, which a container or taskset can make fewer than there are.
int UsableCores();

}  // namespace gdprnn

#endif  // GDPRNN_NETWORK_POOL_H_
