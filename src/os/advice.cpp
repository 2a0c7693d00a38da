#include <acre/os/advice.hpp>

#include "os/advice_table.hpp"
#include "os/kernel.hpp"

#include <array>
#include <cstddef>

namespace acre::os {

namespace {

constexpr const char* no_thp =
    "this kernel is built without transparent huge pages (CONFIG_TRANSPARENT_HUGEPAGE)";
constexpr const char* no_ksm = "this kernel is built without merging of pages (CONFIG_KSM)";
constexpr const char* no_memory_failure =
    "this kernel is built without handling of broken memory (CONFIG_MEMORY_FAILURE)";
constexpr const char* never = "this kernel lacks an advice that every Linux has";
constexpr const char* private_anonymous = "this is for private anonymous memory only";
constexpr const char* not_locked =
    "locked, sealed or special pages cannot be given back; unlock them first";

// In the order of the enumerators; facts_of relies on it.
constexpr std::array table{
    advice_facts{advice::normal, MADV_NORMAL, never, ""},
    advice_facts{advice::random, MADV_RANDOM, never, ""},
    advice_facts{advice::sequential, MADV_SEQUENTIAL, never, ""},
    advice_facts{advice::will_need, MADV_WILLNEED, never, ""},
    advice_facts{advice::dont_need, MADV_DONTNEED, never, not_locked},
    advice_facts{advice::free, MADV_FREE, "MADV_FREE came with Linux 4.5", private_anonymous},
    advice_facts{advice::remove, MADV_REMOVE, never,
                 "this is for shared writable memory that is not locked"},
    advice_facts{advice::dont_fork, MADV_DONTFORK, never, ""},
    advice_facts{advice::do_fork, MADV_DOFORK, never,
                 "memory of a device stays out of child processes"},
    advice_facts{advice::mergeable, MADV_MERGEABLE, no_ksm, ""},
    advice_facts{advice::unmergeable, MADV_UNMERGEABLE, no_ksm, ""},
    advice_facts{advice::huge_page, MADV_HUGEPAGE, no_thp, "such memory has no huge pages"},
    advice_facts{advice::no_huge_page, MADV_NOHUGEPAGE, no_thp, ""},
    advice_facts{
        advice::collapse, MADV_COLLAPSE,
        "MADV_COLLAPSE came with Linux 6.1 and needs CONFIG_TRANSPARENT_HUGEPAGE",
        "a huge page must lie within one mapping of one protection and advice, of which at "
        "least one page is in memory"},
    advice_facts{advice::dont_dump, MADV_DONTDUMP, never, ""},
    advice_facts{advice::do_dump, MADV_DODUMP, never, "special memory stays out of core dumps"},
    advice_facts{advice::wipe_on_fork, MADV_WIPEONFORK, "MADV_WIPEONFORK came with Linux 4.14",
                 private_anonymous},
    advice_facts{advice::keep_on_fork, MADV_KEEPONFORK, "MADV_KEEPONFORK came with Linux 4.14",
                 "droppable memory is always wiped on fork"},
    advice_facts{advice::cold, MADV_COLD, "MADV_COLD came with Linux 5.4", not_locked},
    advice_facts{advice::page_out, MADV_PAGEOUT, "MADV_PAGEOUT came with Linux 5.4", not_locked},
    advice_facts{advice::dont_need_locked, MADV_DONTNEED_LOCKED,
                 "MADV_DONTNEED_LOCKED came with Linux 5.18", "special pages cannot be given back"},
    advice_facts{advice::soft_offline, MADV_SOFT_OFFLINE, no_memory_failure, ""},
    advice_facts{advice::hardware_poison, MADV_HWPOISON, no_memory_failure, ""},
};

constexpr bool in_order() noexcept {
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (static_cast<std::size_t>(table[i].what) != i) return false;
  }
  return true;
}
static_assert(in_order());

}  // namespace

const advice_facts& facts_of(advice what) noexcept {
  return table[static_cast<std::size_t>(what)];
}

bool kernel_knows_number(int number) noexcept {
  return tell(calls::madvise, nullptr, 0, number).has_value();
}

bool kernel_knows(advice what) noexcept {
  return kernel_knows_number(facts_of(what).number);
}

}  // namespace acre::os
