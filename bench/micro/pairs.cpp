// acre-pairs: runs a loop of allocate and free a given number of times, and nothing else.
//
//   acre-pairs               lists the cases
//   acre-pairs CASE PAIRS
//
// The loops are written in assembler so that their own share is known: six instructions for a pair
// (load the size, call malloc, move the result, call free, count, jump) and one jump in each of the
// two entries of the procedure linkage table. Count the instructions of two runs that differ in
// PAIRS, and the difference divided by the pairs is the exact cost, these eight included;
// bench/compare/instructions.py does so.

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>

// All loops: rdi = size in bytes, rsi = count of pairs, rdx = room for 64 pointers.
asm(R"(
  .macro enter_loop
  push %rbx
  push %r12
  push %r13
  push %r14
  sub $8, %rsp
  mov %rdi, %r12
  mov %rsi, %rbx
  mov %rdx, %r13
  .endm
  .macro leave_loop
  add $8, %rsp
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  ret
  .endm

  .text
malloc_loop:
  enter_loop
1: mov %r12d, %edi
  call malloc@PLT
  mov %rax, %rdi
  call free@PLT
  dec %rbx
  jne 1b
  leave_loop

calloc_loop:
  enter_loop
1: mov $1, %edi
  mov %r12d, %esi
  call calloc@PLT
  mov %rax, %rdi
  call free@PLT
  dec %rbx
  jne 1b
  leave_loop

new_loop:
  enter_loop
1: mov %r12d, %edi
  call _Znwm@PLT
  mov %rax, %rdi
  call _ZdlPv@PLT
  dec %rbx
  jne 1b
  leave_loop

new_sized_loop:
  enter_loop
1: mov %r12d, %edi
  call _Znwm@PLT
  mov %r12d, %esi
  mov %rax, %rdi
  call _ZdlPvm@PLT
  dec %rbx
  jne 1b
  leave_loop

batch_loop:
  enter_loop
  shr $6, %rbx
1: mov $64, %r14d
2: mov %r12d, %edi
  call malloc@PLT
  mov %rax, -8(%r13,%r14,8)
  dec %r14
  jne 2b
  mov $64, %r14d
3: mov -8(%r13,%r14,8), %rdi
  call free@PLT
  dec %r14
  jne 3b
  dec %rbx
  jne 1b
  leave_loop
)");

extern "C" {
using loop = void(std::size_t size_bytes, std::size_t pairs, void** room);
loop malloc_loop, calloc_loop, new_loop, new_sized_loop, batch_loop;
}

namespace {

struct loop_case {
  std::string_view name;
  loop* run;
  std::size_t size_bytes;
};

constexpr std::array cases{
    loop_case{"pair-16", malloc_loop, 16},         loop_case{"pair-64", malloc_loop, 64},
    loop_case{"pair-512", malloc_loop, 512},       loop_case{"pair-1024", malloc_loop, 1024},
    loop_case{"pair-4096", malloc_loop, 4096},     loop_case{"pair-40000", malloc_loop, 40000},
    loop_case{"pair-65536", malloc_loop, 65536},   loop_case{"batch-64", batch_loop, 64},
    loop_case{"batch-512", batch_loop, 512},       loop_case{"calloc-64", calloc_loop, 64},
    loop_case{"calloc-1024", calloc_loop, 1024},   loop_case{"new-delete-64", new_loop, 64},
    loop_case{"new-sized-64", new_sized_loop, 64}, loop_case{"new-sized-512", new_sized_loop, 512}};

int list() {
  for (const loop_case& each : cases)
    std::printf("%.*s\n", static_cast<int>(each.name.size()), each.name.data());
  return 0;
}

}  // namespace

int main(int count, char** words) {
  if (count == 1) return list();
  const std::size_t pairs = count == 3 ? std::strtoul(words[2], nullptr, 10) : 0;
  for (const loop_case& each : cases) {
    if (pairs < 64 || each.name != words[1]) continue;
    std::array<void*, 64> room{};
    each.run(each.size_bytes, pairs, room.data());
    return 0;
  }
  std::fprintf(stderr, "usage: acre-pairs [CASE PAIRS]   (PAIRS at least 64)\n");
  return 2;
}
