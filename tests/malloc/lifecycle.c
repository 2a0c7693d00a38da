/* Allocates at every stage of a program's life; a block of one stage is freed in a later one.
 *
 * Stages: constructors before main, main, threads' destructors, atexit handlers, destructors after
 * main, and a stdio buffer that the C library itself flushes and frees last. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                        \
  do {                                                          \
    if (!(condition)) {                                         \
      static const char message[] = "FAILED: " #condition "\n"; \
      (void)!write(2, message, sizeof message - 1);             \
      _exit(1);                                                 \
    }                                                           \
  } while (0)

static char* from_constructor;
static char* from_main;
static char* from_atexit;
static pthread_key_t key;
static int key_destructor_runs;

static char* made(size_t size, char mark) {
  char* block = malloc(size);
  CHECK(block != NULL);
  memset(block, mark, size);
  return block;
}

static void checked_free(char* block, size_t size, char mark) {
  CHECK(block != NULL && block[0] == mark && block[size - 1] == mark);
  free(block);
}

__attribute__((constructor(101))) static void before_main(void) {
  from_constructor = made(1000, 'c');
  for (size_t size = 1; size < 200000; size *= 3)
    free(realloc(made(size, 'x'), 2 * size));
}

static void at_exit(void) {
  checked_free(from_main, 300, 'm');
  from_atexit = made(70000, 'a');
}

__attribute__((destructor(101))) static void after_main(void) {
  checked_free(from_atexit, 70000, 'a');
  free(made(5000, 'd'));
  static const char message[] = "after main\n";
  (void)!write(1, message, sizeof message - 1);
}

/* Sets the value again, so that the library calls it as often as POSIX allows. */
static void key_destructor(void* value) {
  checked_free(value, 128, 'k');
  ++key_destructor_runs;
  if (key_destructor_runs % 3 != 0) {
    CHECK(pthread_setspecific(key, made(128, 'k')) == 0);
  } else {
    free(made(4000, 'z'));
  }
}

static void* thread_main(void* unused) {
  (void)unused;
  CHECK(pthread_setspecific(key, made(128, 'k')) == 0);
  char* for_main = made(2000, 't');
  CHECK(dlsym(RTLD_DEFAULT, "there_is_no_such_symbol") == NULL);
  CHECK(dlerror() != NULL); /* its text is freed when the thread ends */
  return for_main;
}

static char* volatile from_handler;
static void on_signal(int number) {
  (void)number;
  from_handler = made(600, 's');
}

int main(void) {
  checked_free(from_constructor, 1000, 'c');
  from_main = made(300, 'm');
  CHECK(atexit(at_exit) == 0);
  CHECK(pthread_key_create(&key, key_destructor) == 0);
  for (int count = 0; count < 20; ++count) {
    pthread_t thread;
    void* result = NULL;
    CHECK(pthread_create(&thread, NULL, thread_main, NULL) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    checked_free(result, 2000, 't');
  }
  CHECK(key_destructor_runs == 60);
  /* Outside malloc a handler may allocate, with any malloc that is not being interrupted. */
  signal(SIGUSR1, on_signal);
  for (int count = 0; count < 100; ++count) {
    raise(SIGUSR1);
    checked_free(from_handler, 600, 's');
  }
  CHECK(setvbuf(stdout, NULL, _IOFBF, 1 << 16) == 0);
  printf("main %s\n", "ends");
  return 0;
}
