/* The malloc family of Acre under its own names, beside the system's malloc.
 *
 * Contracts are those of C23, POSIX.1-2024 and glibc's manual pages; a block from any of these
 * may be given to any other of them, and (when libacre-malloc.so is the program's malloc) to
 * free().
 *
 * Thread-safety:  every function may be called from any thread at any time.
 * Errors:         null and errno == ENOMEM when memory runs out, unless stated otherwise;
 *                 acre_free and the sized frees leave errno alone.
 * Misuse:         freeing a pointer that is not the start of a live block is reported on standard
 *                 error and ends the program (option on_misuse), as far as the default checks see
 * it.
 */
#ifndef ACRE_MALLOC_H
#define ACRE_MALLOC_H

#include <acre/export.h>

#include <stddef.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#define ACRE_NOEXCEPT noexcept
#else
#define ACRE_NOEXCEPT
#endif

ACRE_API void* acre_malloc(size_t size_bytes) ACRE_NOEXCEPT;
ACRE_API void* acre_calloc(size_t count, size_t size_bytes) ACRE_NOEXCEPT;
ACRE_API void* acre_realloc(void* block, size_t size_bytes) ACRE_NOEXCEPT;
ACRE_API void* acre_reallocarray(void* block, size_t count, size_t size_bytes) ACRE_NOEXCEPT;
ACRE_API void acre_free(void* block) ACRE_NOEXCEPT;
/* C23: size_bytes is the size that was asked for. */
ACRE_API void acre_free_sized(void* block, size_t size_bytes) ACRE_NOEXCEPT;
ACRE_API void acre_free_aligned_sized(void* block, size_t alignment,
                                      size_t size_bytes) ACRE_NOEXCEPT;
/* EINVAL unless alignment is a power of two. */
ACRE_API void* acre_aligned_alloc(size_t alignment, size_t size_bytes) ACRE_NOEXCEPT;
ACRE_API void* acre_memalign(size_t alignment, size_t size_bytes) ACRE_NOEXCEPT;
/* Returns 0, EINVAL or ENOMEM; *block is unchanged on failure. Out of memory also sets errno, as
 * glibc does. */
ACRE_API int acre_posix_memalign(void** block, size_t alignment, size_t size_bytes) ACRE_NOEXCEPT;
ACRE_API void* acre_valloc(size_t size_bytes) ACRE_NOEXCEPT;
ACRE_API void* acre_pvalloc(size_t size_bytes) ACRE_NOEXCEPT;

/* Bytes that the program may use at block; at least what was asked for; 0 for null. */
ACRE_API size_t acre_malloc_usable_size(void* block) ACRE_NOEXCEPT;

/* Gives every free page back to the kernel at once, also from caches of exited threads; keeps
 * about keep_bytes. Returns 1 when memory was given back, else 0. */
ACRE_API int acre_malloc_trim(size_t keep_bytes) ACRE_NOEXCEPT;

/* Fields as in glibc's mallinfo2(3). */
struct acre_mallinfo2 {
  size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
ACRE_API struct acre_mallinfo2 acre_mallinfo2(void) ACRE_NOEXCEPT;
/* Writes a short text to standard error. */
ACRE_API void acre_malloc_stats(void) ACRE_NOEXCEPT;
/* Writes XML with glibc's root element. options must be 0. Returns 0, or -1 and EINVAL. */
ACRE_API int acre_malloc_info(int options, FILE* stream) ACRE_NOEXCEPT;

/* What holds an address. */
enum acre_owner_kind { ACRE_NOT_OURS, ACRE_SMALL_LIVE, ACRE_SMALL_FREE, ACRE_LARGE, ACRE_UNUSED };
struct acre_owner {
  enum acre_owner_kind kind;
  void* block;        /* start of the block or free slot; null for ACRE_NOT_OURS and ACRE_UNUSED */
  size_t block_bytes; /* usable bytes of it */
};
/* Safe for any address, ours or not. A block waiting in a thread cache counts as live. */
ACRE_API struct acre_owner acre_owner_of(const void* address) ACRE_NOEXCEPT;

/* Exact counts over all threads; see docs/heap.md. */
struct acre_statistics {
  size_t allocations, frees;      /* events since the start */
  size_t live_blocks, live_bytes; /* held by the program, after rounding */
  size_t live_bytes_peak;         /* highest seen at a slow path: exact to a cache's content */
  size_t committed_bytes;         /* pages that hold slabs and large blocks */
  size_t slab_free_bytes;         /* free slots in slabs */
  size_t cache_bytes;      /* free blocks in thread caches and on their way between threads */
  size_t retained_bytes;   /* free pages that are still resident */
  size_t metadata_bytes;   /* the heap's own tables, an upper bound of what is resident */
  size_t rounding_bytes;   /* estimate, from requests seen on slow paths */
  size_t rounding_samples; /* how many requests that estimate rests on */
  size_t large_allocations, large_live, large_live_bytes;
  size_t threads, threads_peak; /* threads that hold a cache now; the most at once */
};
ACRE_API struct acre_statistics acre_statistics(void) ACRE_NOEXCEPT;

/* Figures of one size class; returns 0 when index is past the last class. A block that a class was
 * lent by another counts as live where it lies, and as an allocation where it was asked for. */
struct acre_class_statistics {
  size_t size_bytes, allocations, live, live_bytes;
};
ACRE_API int acre_class_statistics(size_t index, struct acre_class_statistics* out) ACRE_NOEXCEPT;

/* Walks every structure and checks what must hold; 1 when it does. Other threads must not allocate.
 */
ACRE_API int acre_check_invariants(void) ACRE_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
