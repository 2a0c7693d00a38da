#include <acre/region/child_arena.hpp>

#include "region/misuse.hpp"

#include <utility>

namespace acre::region {

namespace {

/// Doubles as the child needs more; small, because many children are.
constexpr std::size_t first_block_bytes = 2048;

}  // namespace

child_arena::child_arena(arena& parent, std::string_view name)
    : scope_(parent),
      source_(parent),
      own_({.from = &source_, .name = name, .first_block_bytes = first_block_bytes}),
      parent_(&parent) {
  parent.child_ = &own_;
  parent.open_or_close();
}

child_arena::~child_arena() {
  if (parent_->child_ != &own_) misuse(own_.name(), "a child arena ended that is not its parent's");
  // From here the parent's own end of the scope may work on it; the child's end does not.
  parent_->child_ = nullptr;
  parent_->open_or_close();
}

result<block> child_arena::parent_source::do_take(std::size_t size_bytes,
                                                  std::size_t alignment) noexcept {
  const void* const child = std::exchange(parent_->child_, nullptr);
  void* const data = parent_->try_allocate(size_bytes, alignment);
  parent_->child_ = child;
  parent_->open_or_close();
  if (data == nullptr) return std::unexpected(parent_->last_failure_);
  return block{static_cast<std::byte*>(data), size_bytes, alignment};
}

void child_arena::parent_source::do_give_back(block taken) noexcept {
  parent_->deallocate(taken.data, taken.size_bytes);
}

}  // namespace acre::region
