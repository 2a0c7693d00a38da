/* A signal's handler ends the program while it is inside the heap, which is to write a summary:
 * exit_in_handler. Prints nothing and ends with 7, whatever the handler interrupted. */
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

static void end(int number) {
  (void)number;
  exit(7);
}

int main(void) {
  void* blocks[300];
  const struct itimerval soon = {.it_value = {.tv_usec = 5000 + getpid() % 97 * 100}};
  signal(SIGALRM, end);
  setitimer(ITIMER_REAL, &soon, NULL);
  for (;;) {
    for (int i = 0; i < 300; i++)
      blocks[i] = malloc(20000 + (size_t)i * 100);
    for (int i = 0; i < 300; i++)
      free(blocks[i]);
  }
}
