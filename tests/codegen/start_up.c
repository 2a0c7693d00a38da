/* Measures one start of a program: start_up PROGRAM [ARGUMENT...]
 *
 * Prints minor faults and peak RSS in KiB. The child comes from vfork, so that nothing of this
 * process is counted as its memory. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const pid_t child = vfork();
  if (child == 0) {
    execv(argv[1], argv + 1);
    _exit(127);
  }
  int status = 0;
  struct rusage used;
  if (wait4(child, &status, 0, &used) != child || status != 0) return 1;
  printf("%ld %ld\n", used.ru_minflt, used.ru_maxrss);
  return 0;
}
