#include "library_pages.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace gdprnn {
namespace {

// Code that was changed when it was loaded is not what is in the file.
bool IsChangedByRelocation(const dl_phdr_info& library, const ElfW(Phdr) & segment) {
  const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(library.dlpi_addr + segment.p_vaddr);
  for (; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_TEXTREL) return true;
    if (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0) return true;
  }
  return false;
}

// Only whole pages: the system maps what is left of them with the neighbouring segments.
void Release(uintptr_t start, uintptr_t end) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  start = (start + page - 1) / page * page;
  end = end / page * page;
  if (start < end) madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED);
}

int ReleaseLibrary(dl_phdr_info* library, size_t, void*) {
  const auto* const end = library->dlpi_phdr + library->dlpi_phnum;
  for (const auto* segment = library->dlpi_phdr; segment != end; ++segment) {
    if (segment->p_type == PT_DYNAMIC && IsChangedByRelocation(*library, *segment)) return 0;
  }
  for (const auto* segment = library->dlpi_phdr; segment != end; ++segment) {
    if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0) continue;
    const uintptr_t start = library->dlpi_addr + segment->p_vaddr;
    Release(start, start + segment->p_filesz);
  }
  return 0;
}

}  // namespace

void ReleaseLibraryPages() {
  dl_iterate_phdr(ReleaseLibrary, nullptr);
}

}  // namespace gdprnn
