// What separates, and in which pieces.
#ifndef GDPRNN_SEPARATION_H_
#define GDPRNN_SEPARATION_H_

#include "chunks.h"
#include "stitching.h"

namespace gdprnn {

// A network that is ready to run.
struct Separation {
  SeparateBatch separate;
  int num_speakers = 0;  // C
  int sample_rate = 0;   // Hz
  int kernel_size = 0;   // samples of one window of the network
  Chunking chunking;
  int batch_size = 1;  // chunks that go through it together
};

}  // namespace gdprnn

#endif  // GDPRNN_SEPARATION_H_
