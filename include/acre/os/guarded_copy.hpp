#pragma once

#include <acre/export.h>
#include <acre/result.hpp>

#include <cstddef>
#include <span>

/// Copies that survive memory which is not there.
///
/// A mapping of a file that another process truncates, or for which the disk has no space, raises
/// SIGBUS when it is touched, and by default that ends the program. These copies give a failure
/// instead. They catch SIGBUS, not SIGSEGV: an address that is not mapped at all is a mistake of
/// the program and ends it as ever.
///
/// How: on x86-64 the first copy installs a handler for SIGBUS for the whole process. It resumes a
/// guarded copy behind the failing instruction, and hands every other SIGBUS to the handler that
/// was there before, or to the default. There is no state per thread and no jump out of a handler,
/// so the copies may run in any number of threads, in handlers of other signals, and nested.
/// Elsewhere the kernel copies (process_vm_readv), which needs no handler and costs a system call.
///
/// Rules: a handler for SIGBUS that is installed after the first guarded copy must pass on what it
/// does not know to the one it replaces, or call `prepare_guarded_copies` before it is installed;
/// and SIGBUS must not be blocked in the copying thread, or the kernel ends the program.
///
/// Thread-safety: all functions may be called from any thread.
namespace acre::os {

/// Installs the handler now rather than at the first copy; nothing to do when it is there.
/// Fails: with the errno of sigaction.
[[nodiscard]] ACRE_API result<void> prepare_guarded_copies() noexcept;

/// Copies as many bytes as the shorter span holds; the spans must not overlap. Either may be in
/// memory that is gone.
///
/// Fails:  EIO when a page of either cannot be had: a file's end, no space left, a disk error;
///         EHWPOISON when it is in broken memory; `failure::value` is the count of bytes that were
///         copied before.
/// Cost:   that of `rep movsb`: like memcpy from some hundred bytes on.
[[nodiscard]] ACRE_API result<std::size_t> guarded_copy(std::span<std::byte> to,
                                                        std::span<const std::byte> from) noexcept;

}  // namespace acre::os
