/* A timer's handler allocates while the program computes, but never while it is inside malloc: that
 * is as far as glibc's malloc goes too. The handler also takes a backtrace, whose first use loads a
 * library and allocates. */
#define _GNU_SOURCE
#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { wanted = 200, held_count = 64 };
static void* held[held_count];
static volatile sig_atomic_t runs;
static volatile sig_atomic_t failures;

static void on_timer(int number) {
  (void)number;
  void* frames[16];
  if (backtrace(frames, 16) < 1) ++failures;
  for (size_t index = 0; index < held_count; ++index) {
    free(held[index]);
    held[index] = malloc((size_t)runs * 40 + index);
    if (held[index] == NULL) ++failures;
    memset(held[index], 2, index);
  }
  ++runs;
}

int main(void) {
  sigset_t timer_only;
  sigset_t before;
  sigemptyset(&timer_only);
  sigaddset(&timer_only, SIGALRM);
  struct sigaction action = {.sa_handler = on_timer};
  sigaction(SIGALRM, &action, NULL);
  const struct itimerval every = {{0, 2000}, {0, 2000}};
  setitimer(ITIMER_REAL, &every, NULL);
  volatile unsigned long work = 1;
  while (runs < wanted) {
    for (int step = 0; step < 10000; ++step)
      work = work * 31 + 7;
    sigprocmask(SIG_BLOCK, &timer_only, &before);
    void* block = malloc(work % 5000);
    memset(block, 1, work % 5000 / 2);
    free(block);
    sigprocmask(SIG_SETMASK, &before, NULL);
  }
  if (failures != 0) return 1;
  puts("ok");
  return 0;
}
