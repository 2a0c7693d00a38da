#include "heap/misuse.hpp"

#include "base/text.hpp"
#include "heap/config.hpp"
#include "heap/fork.hpp"
#include "heap/owner.hpp"
#include "heap/purger.hpp"
#include "os/background_thread.hpp"
#include "os/syscall.hpp"

#include <cstdint>
#include <cstdlib>

#include <unistd.h>

namespace acre::heaps {

namespace {

std::string_view name_of(misuse kind) noexcept {
  switch (kind) {
    case misuse::double_free:
      return "double free";
    case misuse::interior:
      return "free of a pointer that is not the start of a block";
    case misuse::not_ours:
      return "free of a pointer that is not of this heap";
    case misuse::never_allocated:
      return "free of a pointer into free memory or inside a large block";
    case misuse::wrong_size:
      return "free with a wrong size";
  }
  return "misuse";
}

}  // namespace

void report_misuse(misuse kind, const void* address) noexcept {
  base::text<512> report;
  report.add("acre: ").add(name_of(kind)).add(": address ");
  report.add_hex(reinterpret_cast<std::uintptr_t>(address));
  const owner_facts facts = owner_of(address);
  if (facts.kind != owner_kind::not_ours && facts.block != nullptr) {
    const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(address) -
                                                 static_cast<const std::byte*>(facts.block));
    report.add(", ").add_number(offset).add(" bytes inside ");
    report.add(facts.kind == owner_kind::small_free ? "a free block of " : "a block of ");
    report.add_number(facts.block_bytes).add(" bytes at ");
    report.add_hex(reinterpret_cast<std::uintptr_t>(facts.block));
  } else if (facts.kind == owner_kind::unused) {
    report.add(", in pages that hold no block");
  }
  report.add("; process ");
  report.add_number(static_cast<std::uint64_t>(os::raw_syscall(SYS_getpid))).add("\n");
  os::raw_syscall(SYS_write, STDERR_FILENO, os::as_long(report.view().data()),
                  static_cast<long>(report.size()));
  if (!config.abort_on_misuse.load(std::memory_order_relaxed)) return;
  // This thread may hold a heap's lock. As while a fork is pending, nobody waits for it any more:
  // the program's handler of SIGABRT may allocate.
  fork_pending.store(1, std::memory_order_seq_cst);
  if (is_purging_thread()) os::background_thread::abort_process();
  std::abort();
}

}  // namespace acre::heaps
