/* Threads that waited while their blocks lived free them and wait again, at some moment of a run of
 * the purging thread or after it; each process tries another. What they freed fits their caches,
 * and nothing is called afterwards: the caches must still go back. */
#include "resident.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { process_count = 16, thread_count = 32, block_count = 300 };
enum { first_wait_ms = 300, step_ms = 150, patience_ms = 20000, look_ms = 100 };

static pthread_barrier_t everyone;

static void* use_and_wait(void* unused) {
  (void)unused;
  char* blocks[block_count];
  for (size_t index = 0; index < block_count; ++index) {
    blocks[index] = malloc(16 + index * 7);
    if (blocks[index] == NULL) abort();
    blocks[index][0] = 1;
  }
  pthread_barrier_wait(&everyone);
  pthread_barrier_wait(&everyone);
  for (size_t index = 0; index < block_count; ++index)
    free(blocks[index]);
  pthread_barrier_wait(&everyone);
  pthread_barrier_wait(&everyone);
  return NULL;
}

/* Exit code of the process that waits so long before the blocks are freed. */
static int try_wait(int wait_ms) {
  pthread_barrier_init(&everyone, NULL, thread_count + 1);
  for (int index = 0; index < thread_count; ++index) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, use_and_wait, NULL) != 0) return 2;
  }
  pthread_barrier_wait(&everyone);
  usleep((useconds_t)wait_ms * 1000);
  pthread_barrier_wait(&everyone);
  pthread_barrier_wait(&everyone);
  const long full = resident_pages();
  long left = full;
  for (int waited = 0; waited < patience_ms && left > full / 2; waited += look_ms) {
    usleep(look_ms * 1000);
    left = resident_pages();
  }
  if (full > 0 && left <= full / 2) return 0;
  printf("freed after %d ms: %ld of %ld pages stay\n", wait_ms, left, full);
  fflush(stdout);
  return 1;
}

int main(void) {
  for (int index = 0; index < process_count; ++index) {
    const pid_t child = fork();
    if (child < 0) return 2;
    if (child == 0) _exit(try_wait(first_wait_ms + index * step_ms));
  }
  int result = 0;
  for (int status; wait(&status) > 0;)
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) result = 1;
  if (result == 0) puts("ok");
  return result;
}
