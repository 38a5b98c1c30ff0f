// The fused operators, of which there is a library for each kind of processor: beside this program, gdprnn_kernels_KIND.so.
#ifndef GDPRNN_KERNEL_LIBRARY_H_
#define GDPRNN_KERNEL_LIBRARY_H_

#include <string>

#include "network_interface.h"

namespace gdprnn {

// The functions of one of the libraries, which stays loaded.
struct KernelLibrary {
  std::string kind;
  GdprnnSeparateFunction* separate = nullptr;
  int half_multiple = 0;  // of which N and H must be multiples in bfloat16; 0: it has none
};

// The best one that was built, for the processor at hand. The variable GDPRNN_PROCESSOR may name a kind to be taken
// instead: amx, bf16, avx512, avx2 or plain.
// Raises Failure(kOptions): the variable names none that can run here; `for_bfloat16` and there is none that has it.
// Raises Failure(kModel): a library is missing or cannot be loaded.
KernelLibrary LoadKernels(bool for_bfloat16);

}  // namespace gdprnn

#endif  // GDPRNN_KERNEL_LIBRARY_H_
