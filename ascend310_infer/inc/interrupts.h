// Ctrl-C and SIGTERM: the program ends at once, whatever it is doing, and leaves nothing half-written behind.
#ifndef GDPRNN_INTERRUPTS_H_
#define GDPRNN_INTERRUPTS_H_

#include <string>

namespace gdprnn {

// From now on a thread of its own waits for SIGINT, SIGTERM and SIGHUP, unless they are ignored. When one comes it
// removes the folders of RemoveWhenInterrupted, tells `message` in a line and ends the program with kInterrupted.
// (The runtime cannot be stopped in the middle of its work.) Call it first, before there are other threads.
void WatchInterrupts(const std::string& message);

// What would end the program without a word becomes an error of the call that wrote too much, or to nobody.
void IgnoreWriteSignals();

// While one of these lives, interrupts wait. Not to be nested.
class InterruptsHeldBack {
 public:
  InterruptsHeldBack();
  ~InterruptsHeldBack();
  InterruptsHeldBack(const InterruptsHeldBack&) = delete;
  InterruptsHeldBack& operator=(const InterruptsHeldBack&) = delete;
};

// The folder that an interrupt removes with all that is in it; "": none. Call it while interrupts are held back.
void RemoveWhenInterrupted(const std::string& folder);

}  // namespace gdprnn

#endif  // GDPRNN_INTERRUPTS_H_
