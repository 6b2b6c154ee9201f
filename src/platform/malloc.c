// Sets the size from which glibc maps an allocation by itself, and unmaps it when it is freed: M_MMAP_THRESHOLD,
// mallopt(3). Without a fixed size glibc raises it to the largest block that was freed. Later large blocks then
// come from an arena, and the arenas keep them. See scripts/TUNING.md.
//
// In C, because mallopt is no safe function in Rust. The linker adds this file to the program alone, not to the
// library; see build.rs in this folder.

#include <malloc.h>

// glibc's own initial value, in bytes.
#define MMAP_THRESHOLD (128 * 1024)

__attribute__((constructor)) static void fix_mmap_threshold(void) {
  mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
}
