/* Makes threads until the system refuses, under a small limit of address space; malloc must neither
 * crash nor hang while memory is short, and works again when the threads are gone. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { most = 2000 };
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void* use_and_wait(void* unused) {
  (void)unused;
  for (size_t size = 16; size < 200000; size *= 3) {
    errno = 0;
    char* block = malloc(size);
    if (block == NULL && errno != ENOMEM) abort();
    if (block != NULL) memset(block, 1, size);
    void* aligned = NULL;
    const int code = posix_memalign(&aligned, 64, size);
    if (code != 0 && code != ENOMEM) abort();
    free(block);
    free(aligned);
  }
  pthread_mutex_lock(&gate);
  pthread_mutex_unlock(&gate);
  return NULL;
}

int main(void) {
  const struct rlimit limit = {400 << 20, 400 << 20};
  if (setrlimit(RLIMIT_AS, &limit) != 0) return 2;
  for (int round = 0; round < 3; ++round) {
    static pthread_t threads[most];
    int count = 0;
    pthread_mutex_lock(&gate);
    while (count < most && pthread_create(&threads[count], NULL, use_and_wait, NULL) == 0)
      ++count;
    pthread_mutex_unlock(&gate);
    for (int index = 0; index < count; ++index)
      pthread_join(threads[index], NULL);
    if (count < 5) return 3;
    char* block = malloc(1 << 20);
    if (block == NULL) return 4;
    memset(block, 1, 1 << 20);
    free(block);
  }
  puts("ok");
  return 0;
}
