#include <atomic>

#include <dlfcn.h>

// A library that is opened with RTLD_DEEPBIND looks for symbols among its own dependencies first,
// and so finds the C library's malloc and free instead of those that the rest of the program uses:
// a block that goes from one to the other ends the program. PHP opens its extensions like this, and
// Samba its modules. So nothing is bound deeply while this library is the program's malloc. The
// flag decides nothing else but which of several equally named symbols is taken, and without it the
// program's order holds, as for every library that it was linked with.
//
// In the shared library alone: a static program has no second malloc to find.

namespace {

using open_function = void*(const char*, int);

/// Written by whichever thread comes first, always with the same value; nothing else is published
/// by it, so relaxed is enough.
constinit std::atomic<open_function*> next_open{nullptr};

open_function* find_next() noexcept {
  auto* const found = reinterpret_cast<open_function*>(dlsym(RTLD_NEXT, "dlopen"));
  next_open.store(found, std::memory_order_relaxed);
  return found;
}

}  // namespace

// The loader reads from the return address who asks, and searches the paths that this file names.
// So the next dlopen must be reached by a jump, in unoptimised builds, too, and in those that count
// what they cover (the count would come after a call).
#if defined(__clang__)
#define ACRE_CAN_JUMP
#define ACRE_JUMP [[clang::musttail]] return
#else
#define ACRE_CAN_JUMP [[gnu::optimize("O2"), gnu::no_profile_instrument_function]]
#define ACRE_JUMP return
#endif

extern "C" [[gnu::visibility("default")]] ACRE_CAN_JUMP void* dlopen(const char* file,
                                                                     int mode) noexcept {
  open_function* next = next_open.load(std::memory_order_relaxed);
  if (next == nullptr) [[unlikely]]
    next = find_next();
  if (next == nullptr) [[unlikely]]
    return nullptr;  // dlsym has left the reason for dlerror.
  ACRE_JUMP next(file, mode & ~RTLD_DEEPBIND);
}
