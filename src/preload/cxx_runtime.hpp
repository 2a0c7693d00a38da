#pragma once

#include <new>

/// What operator new needs of the C++ run-time library. The shared library links libc alone and
/// takes what the process has; the archive makes the linker bring it (cxx_runtime_shared.cpp and
/// cxx_runtime_static.cpp).
namespace acre::preload {

/// The program's new-handler, or null.
[[nodiscard]] std::new_handler new_handler() noexcept;

/// Throws std::bad_alloc. Ends the process where no C++ run-time library is: nobody could catch it.
[[noreturn]] void throw_bad_alloc();

}  // namespace acre::preload
