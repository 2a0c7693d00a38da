#pragma once

#include "os/lock.hpp"

/// Pages inside free slots of large blocks.
namespace acre::heaps {

/// Gives the pages that lie whole in free slots back to the kernel; the slots may be used as
/// before. A few live blocks keep long slabs, most of whose pages would stay resident. Holds a
/// heap's lock for one slab at a time. With a gate, which is closed meanwhile, it passes over heaps
/// whose lock is not free.
void purge_free_slots(os::lock* gate) noexcept;

}  // namespace acre::heaps
