#include "infer.h"

#include <chrono>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "failure.h"
#include "hidden_folder.h"
#include "index.h"
#include "index_mode.h"
#include "interrupts.h"
#include "program.h"
#include "separation.h"
#include "wav_mode.h"

namespace gdprnn {
namespace {

constexpr char kWavInterrupted[] = "interrupted: what is finished stays, of the rest nothing is left behind";
constexpr char kIndexInterrupted[] = "interrupted: what is finished stays, the same command goes on from there";

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

NetworkPool BuildPool(const Options& options, const Description& description, MakeNetworks* make_networks) {
  const PoolPlan plan = PlanPool(options, description);
  const auto began = Clock::now();
  NetworkPool pool(make_networks(options, description, plan), plan.batch_each);
  if (options.verbose) {
    std::fprintf(stderr, "start-up: %.2f s for %d network%s with %d thread%s each\n", SecondsSince(began),
                 plan.num_networks, plan.num_networks == 1 ? "" : "s", plan.threads_each,
                 plan.threads_each == 1 ? "" : "s");
  }
  return pool;
}

// A recording that fails does not keep the others from being separated; the first failure's code is the program's.
int RunWavMode(const Options& options, MakeNetworks* make_networks) {
  const Description description = ReadDescription(options.model_path);
  const auto plan = PlanOutputs(options.inputs, options.output_dir, description.num_speakers);
  MakeOutputFolder(options.output_dir);
  LockFolder(options.output_dir, false);
  NetworkPool pool = BuildPool(options, description, make_networks);
  const Separation separation{pool.UseAll(),           description.num_speakers, description.sample_rate,
                              description.kernel_size, description.chunking,     pool.batch_size()};
  int exit_code = kDone;
  std::set<std::string> told;
  for (const PlannedInput& planned : plan) {
    try {
      SeparateFile(planned, options.output_dir, separation, &told);
    } catch (const Failure& failure) {
      const int code = TellFailure(failure);
      exit_code = exit_code == kDone ? code : exit_code;
    }
  }
  return exit_code;
}

int RunIndexMode(const Options& options, MakeNetworks* make_networks) {
  const Description description = ReadDescription(options.model_path);
  const Index index = ReadIndex(options.index_path);
  CheckFits(index, description);
  const ResultFolder results(index, description, options);
  NetworkPool pool = BuildPool(options, description, make_networks);
  SeparateIndex(index, description, results, &pool);
  return kDone;
}

}  // namespace

int Infer(const Options& options, MakeNetworks* make_networks) {
  if (options.show_help || options.show_version) {
    std::fputs((options.show_help ? Usage() : VersionLine()).c_str(), stdout);
    return kDone;
  }
  WatchInterrupts(options.inputs.empty() ? kIndexInterrupted : kWavInterrupted);
  return options.inputs.empty() ? RunIndexMode(options, make_networks) : RunWavMode(options, make_networks);
}

}  // namespace gdprnn
