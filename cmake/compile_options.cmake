# What every target of this project compiles with. Nothing here reaches a project that uses Acre.

# Warnings; errors only when asked for, so a user with another compiler is never stopped by one.
# GCC's full -Wshadow refuses a C function named as its struct (acre_mallinfo2, as in glibc); Clang's
# does not, so the Clang builds look for the rest of the shadowing. GCC 12 sees overlapping copies in
# std::string where there are none (its bug 105651).
add_library(acre_warnings INTERFACE)
target_compile_options(acre_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wundef
  $<$<CXX_COMPILER_ID:GNU>:-Wshadow=local>
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>
  $<$<CXX_COMPILER_ID:Clang>:-Wshadow -Wthread-safety>
  $<$<BOOL:${ACRE_WERROR}>:-Werror>)

# The compile options of the in-process libraries, which run inside other people's programs.
#
# - no exceptions, no RTTI, no guarded statics: the preload library depends on libc alone.
# - initial-exec TLS: one load to reach the thread's heap, and no __tls_get_addr, which may allocate.
# - no builtin malloc: the compiler must not turn our calloc into a call of calloc.
add_library(acre_in_process INTERFACE)
target_compile_options(acre_in_process INTERFACE
  -fno-semantic-interposition -ftls-model=initial-exec -fno-stack-protector
  -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti -fno-threadsafe-statics>)

# A sanitizer must see every object of the program, so these two are directory-wide on purpose.
if(ACRE_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(ACRE_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
elseif(ACRE_SANITIZE)
  message(FATAL_ERROR "ACRE_SANITIZE is '${ACRE_SANITIZE}'; it may be empty, 'address' or 'thread'")
endif()
