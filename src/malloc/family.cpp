#include "malloc/family.hpp"

#include "base/bits.hpp"
#include "heap/purger.hpp"
#include "malloc/report.hpp"

#include <bit>

namespace acre::mallocs {

namespace {

void* or_no_memory(void* block) noexcept {
  if (block == nullptr) [[unlikely]]
    errno = ENOMEM;
  return block;
}

/// Out of memory: what the thread's caches and empty slabs hold becomes free pages again.
/// Always true: the own caches alone may be enough, and the registry is in use when another thread
/// reclaims, too.
bool reclaim() noexcept {
  flush_own_caches();
  (void)heaps::drop_all_empty_slabs();
  return true;
}

void* aligned(std::size_t alignment, std::size_t size_bytes) noexcept {
  void* const block = heaps::allocate_aligned(size_bytes, alignment);
  if (block != nullptr || !reclaim()) return block;
  return heaps::allocate_aligned(size_bytes, alignment);
}

/// What a request for `size_bytes` at an alignment may not exceed.
bool too_large(std::size_t alignment, std::size_t size_bytes) noexcept {
  return size_bytes > PTRDIFF_MAX || alignment > PTRDIFF_MAX ||
         size_bytes + alignment > std::size_t{PTRDIFF_MAX};
}

/// An aligned block of a size class, as fast as `malloc` but for a few tests; errno is left alone
/// unless memory is short. Null: `aligned` must decide.
[[gnu::always_inline]] inline void* aligned_of_class(std::size_t alignment,
                                                     std::size_t size_bytes) noexcept {
  const std::size_t bytes = heaps::aligned_bytes(size_bytes, alignment);
  if (bytes == 0) [[unlikely]]
    return nullptr;
  void* const block = heaps::allocate<slow, medium>(bytes);
  if (heaps::is_aligned(block, alignment)) [[likely]]
    return block;
  heaps::release(block);  // Another class lent it.
  return nullptr;
}

[[gnu::noinline]] void* slower(heaps::bin* b, std::size_t size_bytes) noexcept;

[[gnu::noinline]] void* aligned_slow(std::size_t alignment, std::size_t size_bytes) noexcept {
  return too_large(alignment, size_bytes) ? nullptr : aligned(alignment, size_bytes);
}

[[gnu::noinline]] int allocate_posix_slow(void** block, std::size_t alignment,
                                          std::size_t size_bytes) noexcept {
  const int saved = errno;
  void* const fresh = aligned_slow(alignment, size_bytes);
  // POSIX leaves errno open; glibc sets it on failure, and programs look.
  errno = fresh == nullptr ? ENOMEM : saved;
  if (fresh == nullptr) return ENOMEM;
  *block = fresh;
  return 0;
}

}  // namespace

void clear_more(void* block, std::size_t bytes) noexcept {
  std::memset(block, 0, bytes);
}

void* slow(heaps::bin* b, std::size_t size_bytes) noexcept {
  if (heaps::renew_grant(b, size_bytes)) [[likely]]
    return heaps::pop(b);
  return slower(b, size_bytes);
}

namespace {

void* slower(heaps::bin* b, std::size_t size_bytes) noexcept {
  void* block = heaps::allocate_slow(b, size_bytes);
  if (block == nullptr && reclaim()) block = heaps::allocate_any(size_bytes);
  // A free slot of a larger class is better than none.
  for (unsigned c = heaps::class_of(size_bytes) + 1; block == nullptr && c < heaps::class_count;
       ++c)
    block = heaps::allocate_any(heaps::class_bytes(c));
  return or_no_memory(block);
}

}  // namespace

void* huge(std::size_t size_bytes) noexcept {
  void* block = heaps::allocate_huge(size_bytes);
  if (block == nullptr && reclaim()) block = heaps::allocate_huge(size_bytes);
  return or_no_memory(block);
}

void* medium(std::size_t size_bytes) noexcept {
  return heaps::allocate_medium<slow, huge>(size_bytes);
}

void* zeroed_slow(std::size_t size_bytes) noexcept {
  void* block = heaps::allocate_zeroed(size_bytes);
  if (block == nullptr && reclaim()) block = heaps::allocate_zeroed(size_bytes);
  return or_no_memory(block);
}

void* zeroed_slow(heaps::bin* b, std::size_t size_bytes) noexcept {
  if (heaps::renew_grant(b, size_bytes)) [[likely]] {
    void* const block = heaps::pop(b);
    clear_small(block, (size_bytes - 1) & ~std::size_t{15});
    return block;
  }
  void* const block = slower(b, size_bytes);
  if (block != nullptr) std::memset(block, 0, size_bytes);
  return block;
}

void* reallocate(void* block, std::size_t size_bytes) noexcept {
  if (block == nullptr) return allocate(size_bytes);
  if (size_bytes == 0) {
    // As glibc; C23 leaves it undefined.
    heaps::release(block);
    return nullptr;
  }
  if (heaps::usable_bytes(block) == 0) return nullptr;  // Misuse, reported.
  void* fresh = heaps::reallocate(block, size_bytes);
  if (fresh == nullptr && reclaim()) fresh = heaps::reallocate(block, size_bytes);
  return or_no_memory(fresh);
}

void* reallocate_array(void* block, std::size_t count, std::size_t size_bytes) noexcept {
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(count, size_bytes, &bytes)) return or_no_memory(nullptr);
  return reallocate(block, bytes);
}

void* allocate_aligned(std::size_t alignment, std::size_t size_bytes) noexcept {
  if (alignment > (SIZE_MAX >> 1U) + 1) {
    errno = EINVAL;
    return nullptr;
  }
  alignment = std::bit_ceil(alignment);
  void* const block = aligned_of_class(alignment, size_bytes);
  return block != nullptr ? block : or_no_memory(aligned_slow(alignment, size_bytes));
}

void* allocate_strictly_aligned(std::size_t alignment, std::size_t size_bytes) noexcept {
  if (!base::is_power_of_two(alignment)) {
    errno = EINVAL;
    return nullptr;
  }
  return allocate_aligned(alignment, size_bytes);
}

int allocate_posix(void** block, std::size_t alignment, std::size_t size_bytes) noexcept {
  if (!base::is_power_of_two(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
  void* const fresh = aligned_of_class(alignment, size_bytes);
  if (fresh == nullptr) [[unlikely]]
    return allocate_posix_slow(block, alignment, size_bytes);
  *block = fresh;
  return 0;
}

void* allocate_pages(std::size_t size_bytes, bool whole_pages) noexcept {
  if (too_large(heaps::page_bytes, size_bytes)) return or_no_memory(nullptr);
  const std::size_t bytes =
      whole_pages ? base::align_up(size_bytes, heaps::page_bytes) : size_bytes;
  return or_no_memory(aligned(heaps::page_bytes, bytes));
}

std::size_t usable(const void* block) noexcept {
  return block == nullptr ? 0 : heaps::usable_bytes(block);
}

}  // namespace acre::mallocs
