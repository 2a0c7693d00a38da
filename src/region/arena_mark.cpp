#include <acre/region/arena.hpp>
#include <acre/region/refused.hpp>

#include "region/arena_chunk.hpp"
#include "region/misuse.hpp"

#include <cerrno>

namespace acre::region {

arena::marker arena::mark() {
  const bool is_at_last_mark =
      marks_ != nullptr && marks_->chunk_after == current_ && marks_->cursor_after == cursor_ &&
      marks_->destructors == destructors_ && marks_->last_own_id == last_own_id_;
  return is_at_last_mark ? marker(id_, marks_->id) : push_mark();
}

arena::marker arena::push_mark() {
  const mark_record before{.id = last_mark_id_ + 1,
                           .previous = marks_,
                           .destructors = destructors_,
                           .chunk_before = current_,
                           .cursor_before = cursor_,
                           .used_before = used_before_,
                           .chunk_after = nullptr,
                           .cursor_after = nullptr,
                           .used_after = 0,
                           .last_own_id = last_own_id_};
  marks_ = new (allocate(sizeof(mark_record), alignof(mark_record))) mark_record(before);
  marks_->chunk_after = current_;
  marks_->cursor_after = cursor_;
  marks_->used_after = used_before_;
  return marker(id_, ++last_mark_id_);
}

arena::mark_record* arena::find_mark(marker to) const noexcept {
  if (to.arena_id_ != id_) return nullptr;
  mark_record* record = marks_;
  while (record != nullptr && record->id > to.id_)
    record = record->previous;
  return record != nullptr && record->id == to.id_ ? record : nullptr;
}

/// Destroys what is newer than the mark and forgets the memory behind its record.
void arena::return_to(mark_record* record) noexcept {
  if (child_ != nullptr) misuse(name_, "rolled back while its child arena is alive");
  note_peak();
  destroy_down_to(record->destructors);
  forget_from(record->chunk_after, record->cursor_after);
  marks_ = record;
  used_before_ = record->used_after;
  enter(record->chunk_after, record->cursor_after);
  end_own_after(record->last_own_id);
}

void arena::rollback(marker to) noexcept {
  mark_record* const record = find_mark(to);
  if (record == nullptr) refuse_marker(to);
  return_to(record);
}

result<void> arena::try_rollback(marker to) noexcept {
  mark_record* const record = find_mark(to);
  if (record == nullptr) {
    const bool is_foreign = to.arena_id_ != id_;
    return std::unexpected(
        failure{EINVAL, is_foreign ? "rollback: foreign marker" : "rollback: stale marker"});
  }
  return_to(record);
  return {};
}

void arena::refuse_marker(marker to) const noexcept {
  misuse(name_, to.arena_id_ != id_
                    ? "rolled back to a marker of another arena"
                    : "rolled back to a stale marker: the arena was reset or rolled back to an "
                      "earlier one since");
}

void arena::pop_mark(marker to) noexcept {
  mark_record* const record = find_mark(to);
  if (record == nullptr) {
    misuse(name_, "a scope ended after the arena was reset or rolled back beyond its beginning");
  }
  return_to(record);
  const mark_record popped = *record;
  marks_ = popped.previous;
  used_before_ = popped.used_before;
  chunk* const before = popped.chunk_before != nullptr ? popped.chunk_before : first_;
  std::byte* const cursor = popped.chunk_before != nullptr ? popped.cursor_before : first_->begin();
  forget_from(before, cursor);
  enter(before, cursor);
}

}  // namespace acre::region
