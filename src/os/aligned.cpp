#include <acre/os/aligned.hpp>

#include "os/refusal.hpp"

#include <new>

namespace acre::os {

result<aligned_block> aligned_block::allocate(std::size_t size_bytes,
                                              std::size_t alignment) noexcept {
  if (!is_alignment(alignment)) {
    return refusal(EINVAL, "aligned_block", "an alignment is a power of two, and % is none",
                   alignment);
  }
  if (size_bytes == 0) return refusal(EINVAL, "aligned_block", "a block has at least one byte");
  void* const block = ::operator new(size_bytes, std::align_val_t{alignment}, std::nothrow);
  if (block == nullptr) {
    return refusal(ENOMEM, "operator new", "% bytes were asked for", size_bytes);
  }
  aligned_block made;
  made.data_ = static_cast<std::byte*>(block);
  made.size_bytes_ = size_bytes;
  made.alignment_ = alignment;
  return made;
}

aligned_block::~aligned_block() {
  if (data_ != nullptr) ::operator delete(data_, std::align_val_t{alignment_});
}

}  // namespace acre::os
