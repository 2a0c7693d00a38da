/// Fails each system call of a program in turn: inject_driver main|exec PROGRAM [ARGUMENT...]
///
/// Run 1 fails the first mmap, munmap, mremap, mprotect, madvise or clone after the program's
/// marker, run 2 the second, until a run makes fewer calls; then the same with every later call
/// failing too. The program must end with 0: it carries on, or is told ENOMEM and carries on. With
/// `exec` the calls of the dynamic linker fail too, which may then refuse the program with 127. A
/// program with very many calls is sampled: the first hundred, then every so many.
#include "limits/injector.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sys/wait.h>

namespace {

constexpr int run_limit_ms = 10'000;
constexpr int refused_by_dynamic_linker = 127;

bool passed(const acre_test::injected_run& run, const acre_test::injection& what) {
  if (run.is_in_time && WIFEXITED(run.status)) {
    const int code = WEXITSTATUS(run.status);
    if (code == 0 || (what.from_exec && code == refused_by_dynamic_linker)) return true;
  }
  std::fprintf(stderr, "call %zu (%s)%s failed, then the program ", what.first, run.last_failed,
               what.and_all_later ? " and all later ones" : "");
  if (!run.is_in_time) {
    std::fprintf(stderr, "did not end\n");
  } else if (WIFSIGNALED(run.status)) {
    std::fprintf(stderr, "died of signal %d\n", WTERMSIG(run.status));
  } else {
    std::fprintf(stderr, "ended with %d\n", WEXITSTATUS(run.status));
  }
  return false;
}

std::size_t run_series(char* const* arguments, acre_test::injection what, std::size_t call_count) {
  std::size_t failures = 0;
  const std::size_t stride = call_count > 150 ? call_count / 100 : 1;
  // The dynamic linker of glibc 2.36 crashes by itself when its first mmap fails.
  const std::size_t start = what.from_exec ? 1 : 0;
  for (what.first = start; what.first < call_count && failures < 10;
       what.first += what.first < 100 ? 1 : stride) {
    const auto run = acre_test::run_injected(arguments, what, run_limit_ms);
    failures += passed(run, what) ? 0U : 1U;
  }
  return failures;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  char* const* const command = argv + 2;
  acre_test::injection what{.from_exec = std::strcmp(argv[1], "exec") == 0};
  const auto whole = acre_test::run_injected(command, what, run_limit_ms);
  if (!whole.is_supported) {
    std::puts("SKIP: this kernel offers no seccomp notifications");
    return 77;
  }
  if (!passed(whole, what)) return 1;
  std::printf("%zu calls to fail\n", whole.calls);
  if (whole.calls == 0) {
    std::puts("the program made no call after its marker: nothing was tested");
    return 1;
  }
  std::size_t failures = run_series(command, what, whole.calls);
  what.and_all_later = true;
  failures += run_series(command, what, whole.calls);
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
