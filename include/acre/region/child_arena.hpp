#pragma once

#include <acre/region/arena.hpp>

#include <memory_resource>
#include <string_view>

namespace acre::region {

/// An arena inside an arena, for work whose memory ends earlier: it takes its blocks from its
/// parent, and the parent is as it was when the child is gone.
///
/// While a child lives its parent may not be used: an allocation, reset or rollback of the parent
/// ends the program, in every build. Children of children are fine.
///
/// Ownership, thread-safety, failures: those of `arena`.
class ACRE_API child_arena {
 public:
  /// Throws `refused` when the parent has no memory.
  explicit child_arena(arena& parent, std::string_view name = {});
  child_arena(const child_arena&) = delete;
  child_arena& operator=(const child_arena&) = delete;
  ~child_arena();

  [[nodiscard]] arena& operator*() noexcept { return own_; }
  [[nodiscard]] arena* operator->() noexcept { return &own_; }

 private:
  /// Gives out the parent's memory; of what comes back, the parent frees large blocks, and the rest
  /// when the child ends.
  class parent_source final : public source {
   public:
    explicit parent_source(arena& parent) noexcept : parent_(&parent) {}
    [[nodiscard]] std::size_t granularity() const noexcept override { return 1; }
    [[nodiscard]] source_report report() const noexcept override {
      return parent_->from().report();
    }

   private:
    [[nodiscard]] result<block> do_take(std::size_t size_bytes,
                                        std::size_t alignment) noexcept override;
    void do_give_back(block taken) noexcept override;

    arena* parent_;
  };

  // In this order: the parent returns to the mark after the child has given everything back.
  arena::scope scope_;
  parent_source source_;
  arena own_;
  arena* parent_;
};

}  // namespace acre::region
