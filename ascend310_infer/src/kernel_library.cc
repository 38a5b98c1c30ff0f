#include "kernel_library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "failure.h"

namespace gdprnn {
namespace {

namespace fs = std::filesystem;

constexpr char kVariable[] = "GDPRNN_PROCESSOR";

// What a library was compiled for.
struct Kind {
  const char* name;
  bool has_bfloat16;
  bool can_run;  // on this processor
};

#if defined(__x86_64__)

bool HasTiles() {
  constexpr unsigned kTileBfloat16 = 1u << 22;
  constexpr unsigned kTiles = 1u << 24;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  return (d & kTileBfloat16) != 0 && (d & kTiles) != 0;
}

// The best first.
std::vector<Kind> Kinds() {
  __builtin_cpu_init();
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const bool has_bf16 = has_avx512 && __builtin_cpu_supports("avx512bf16");
  return {{"amx", true, has_bf16 && HasTiles()},
          {"bf16", true, has_bf16},
          {"avx512", false, has_avx512},
          {"avx2", false, has_avx2},
          {"plain", false, true}};
}

#else

std::vector<Kind> Kinds() {
  return {{"plain", false, true}};
}

#endif

std::string PathOf(const Kind& kind) {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  return (program.parent_path() / ("gdprnn_kernels_" + std::string(kind.name) + ".so")).string();
}

KernelLibrary Load(const Kind& kind) {
  const std::string path = PathOf(kind);
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  const auto find = [&](const char* name) { return library != nullptr ? dlsym(library, name) : nullptr; };
  auto* const separate = reinterpret_cast<GdprnnSeparateFunction*>(find("GdprnnSeparate"));
  auto* const half_multiple = reinterpret_cast<GdprnnHalfMultipleFunction*>(find("GdprnnHalfMultiple"));
  if (separate == nullptr || half_multiple == nullptr) {
    const char* reason = dlerror();
    throw Failure(kModel, path + ": cannot be loaded (" + (reason ? reason : "it is another library") +
                              "), expected what build.sh makes");
  }
  return {kind.name, separate, half_multiple()};
}

// A compiler that does not know a kind of processor makes no library for it.
bool IsBuilt(const Kind& kind) {
  return access(PathOf(kind).c_str(), F_OK) == 0;
}

KernelLibrary LoadNamed(const std::string& name, bool for_bfloat16) {
  for (const Kind& kind : Kinds()) {
    if (kind.name != name || !kind.can_run || !IsBuilt(kind)) continue;
    KernelLibrary library = Load(kind);
    if (!for_bfloat16 || library.half_multiple > 0) return library;
  }
  throw Failure(kOptions, std::string(kVariable) + ": found '" + name + "', expected a kind of processor that can be "
                              "taken here" + (for_bfloat16 ? " and has bfloat16" : ""));
}

}  // namespace

KernelLibrary LoadKernels(bool for_bfloat16) {
  const char* const name = std::getenv(kVariable);
  if (name != nullptr && name[0] != '\0') return LoadNamed(name, for_bfloat16);
  for (const Kind& kind : Kinds()) {
    if (kind.has_bfloat16 != for_bfloat16 || !kind.can_run || !IsBuilt(kind)) continue;
    KernelLibrary library = Load(kind);
    if (!for_bfloat16 || library.half_multiple > 0) return library;
  }
  if (for_bfloat16) throw Failure(kOptions, "--amp: found bfloat16 on a processor without it, expected none");
  throw Failure(kModel, PathOf({"plain", false, true}) + ": no such file, expected beside this program");
}

}  // namespace gdprnn
