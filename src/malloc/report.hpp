#pragma once

#include <acre/malloc.h>

#include <cstddef>
#include <cstdio>

/// What the family tells about itself, in the forms of glibc and of acre/malloc.h.
namespace acre::mallocs {

/// Empties the calling thread's own caches; others' caches are theirs alone.
void flush_own_caches() noexcept;

int trim(std::size_t keep_bytes) noexcept;
struct acre_mallinfo2 info() noexcept;
void write_stats() noexcept;
int write_info(int options, std::FILE* stream) noexcept;
struct acre_owner owner(const void* address) noexcept;
struct acre_statistics statistics() noexcept;
int class_statistics(std::size_t index, struct acre_class_statistics& out) noexcept;
int check_invariants() noexcept;

}  // namespace acre::mallocs
