#pragma once

#include <acre/export.h>

#include <cstdint>

namespace acre::os {

/// What can be told to the kernel about a mapping's use: every advice of madvise(2), but for
/// populating (`mapping::populate`) and guards (`mapping::guard`), which are members of their own.
///
/// "Discards" means that the contents are gone afterwards.
enum class advice : std::uint8_t {
  normal,            ///< no particular use; undoes `random` and `sequential`
  random,            ///< do not read ahead
  sequential,        ///< read ahead far, drop behind
  will_need,         ///< read into memory soon; starts reading a file
  dont_need,         ///< discards own pages; shared ones are read anew
  free,              ///< discards own pages when memory is short, unless written before (4.5)
  remove,            ///< discards shared pages and their place in the file (2.6.16)
  dont_fork,         ///< absent in a child of fork
  do_fork,           ///< undoes `dont_fork`
  mergeable,         ///< may be merged with equal pages (KSM)
  unmergeable,       ///< undoes `mergeable`
  huge_page,         ///< use transparent huge pages
  no_huge_page,      ///< do not use them
  collapse,          ///< make huge pages of what is there, now (6.1)
  dont_dump,         ///< absent in core dumps
  do_dump,           ///< undoes `dont_dump`
  wipe_on_fork,      ///< zero in a child of fork (4.14)
  keep_on_fork,      ///< undoes `wipe_on_fork` (4.14)
  cold,              ///< not used for long; first to go when memory is short (5.4)
  page_out,          ///< to swap or file now (5.4)
  dont_need_locked,  ///< as `dont_need`, locked pages too (5.18)
  soft_offline,      ///< move the contents and retire the page frame; needs CAP_SYS_ADMIN
  hardware_poison,   ///< treat the page frame as broken, for tests; needs CAP_SYS_ADMIN
};

/// Whether the running kernel has it; whether it suits a mapping is another matter.
/// Cost: one system call, which changes nothing.
[[nodiscard]] ACRE_API bool kernel_knows(advice what) noexcept;

}  // namespace acre::os
