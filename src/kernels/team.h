// Threads for the length of one call: none of them is left when it returns, so that the process can fork between calls.
#ifndef GDPRNN_KERNELS_TEAM_H_
#define GDPRNN_KERNELS_TEAM_H_

#include <pthread.h>

#include <cstdint>
#include <exception>
#include <future>
#include <thread>
#include <vector>

namespace gdprnn {

// A part of a row of tasks.
struct Range {
  int begin;
  int end;
};

class Team {
 public:
  // At most so many members; fewer where the system gives no more threads.
  explicit Team(int size) : size_(size) {}
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }

  // work(member) in every member, 0 to size - 1, at the same time.
  template <typename Work>
  void Run(const Work& work) {
    std::promise<void> all_are_there;
    const std::shared_future<void> begin = all_are_there.get_future().share();
    std::vector<std::thread> others;
    others.reserve(static_cast<size_t>(size_));
    try {
      for (int member = 1; member < size_; ++member) {
        others.emplace_back([&work, member, begin] {
          begin.wait();
          work(member);
        });
      }
    } catch (const std::exception&) {  // no more threads, or no memory for one: the others do its part
    }
    size_ = static_cast<int>(others.size()) + 1;
    pthread_barrier_init(&barrier_, nullptr, static_cast<unsigned>(size_));
    all_are_there.set_value();
    work(0);
    for (std::thread& other : others) other.join();
    pthread_barrier_destroy(&barrier_);
  }

  // Waits until all members have come so far.
  void Meet() { pthread_barrier_wait(&barrier_); }

  // Always the same part for the same member, so that as many members add sums in the same order in every run.
  Range Part(int member, int num_tasks) const {
    return {static_cast<int>(static_cast<int64_t>(num_tasks) * member / size_),
            static_cast<int>(static_cast<int64_t>(num_tasks) * (member + 1) / size_)};
  }

 private:
  int size_;
  pthread_barrier_t barrier_;
};

}  // namespace gdprnn

#endif  // GDPRNN_KERNELS_TEAM_H_
