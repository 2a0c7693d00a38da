#include <acre/bytes/copy.hpp>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace acre::bytes {
namespace {

#if defined(__SSE2__)
/// Copies in lines of 64 bytes with stores that go past the caches; each line is written whole, so
/// it is never read from memory first.
///
/// Requires: `size_bytes` >= 64.
void copy_past_caches(std::byte* to, const std::byte* from, std::size_t size_bytes) noexcept {
  const std::size_t head = (64 - reinterpret_cast<std::uintptr_t>(to) % 64) % 64;
  std::memcpy(to, from, head);
  std::size_t at = head;
  for (; size_bytes - at >= 64; at += 64) {
    const auto* source = reinterpret_cast<const __m128i*>(from + at);
    auto* line = reinterpret_cast<__m128i*>(to + at);
    const __m128i a = _mm_loadu_si128(source);
    const __m128i b = _mm_loadu_si128(source + 1);
    const __m128i c = _mm_loadu_si128(source + 2);
    const __m128i d = _mm_loadu_si128(source + 3);
    _mm_stream_si128(line, a);
    _mm_stream_si128(line + 1, b);
    _mm_stream_si128(line + 2, c);
    _mm_stream_si128(line + 3, d);
  }
  // These stores are not ordered with others until here.
  _mm_sfence();
  std::memcpy(to + at, from + at, size_bytes - at);
}
#else
void copy_past_caches(std::byte* to, const std::byte* from, std::size_t size_bytes) noexcept {
  std::memcpy(to, from, size_bytes);
}
#endif

}  // namespace

copy_result try_copy_streaming(writable_view destination, view source) noexcept {
  if (!detail::may_copy(destination, source))
    return std::unexpected(detail::refusal("copy_streaming", destination, source));
  if (source.size() > last_level_cache_bytes()) {
    copy_past_caches(destination.data(), source.data(), source.size());
  } else {
    detail::copy_bytes(destination.data(), source.data(), source.size());
  }
  return {};
}

void copy_streaming(writable_view destination, view source) {
  const copy_result done = try_copy_streaming(destination, source);
  if (!done) throw copy_refused(done.error());
}

}  // namespace acre::bytes
