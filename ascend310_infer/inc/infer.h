// The program's two modes, for whatever runs the network.
#ifndef GDPRNN_INFER_H_
#define GDPRNN_INFER_H_

#include "description.h"
#include "network_pool.h"
#include "options.h"

namespace gdprnn {

// Makes the networks of a pool from the file at `options.model_path`.
using MakeNetworks = Networks(const Options& options, const Description& description, const PoolPlan& plan);

// Separates what the options ask for, or prints the help or version, and returns the exit code. Raises Failure.
int Infer(const Options& options, MakeNetworks* make_networks);

}  // namespace gdprnn

#endif  // GDPRNN_INFER_H_
