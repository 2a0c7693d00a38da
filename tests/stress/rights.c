/* A program that gives up its user while the purging thread is there: the thread, which the C
 * library does not know of, must not keep the old user. Exit code 77: not root. */
#define _GNU_SOURCE
#include <dirent.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { nobody = 65534, block_count = 20000 };

/* Enough free memory, again and again, that the thread has reason to stay. */
static void keep_busy(void) {
  static void* blocks[block_count];
  for (size_t index = 0; index < block_count; ++index) {
    blocks[index] = malloc(1000);
    memset(blocks[index], 1, 1000);
  }
  for (size_t index = 0; index < block_count; ++index)
    free(blocks[index]);
}

/* Threads of this process; those with user 0 in `roots`. */
static int count_threads(int* roots) {
  int threads = 0;
  *roots = 0;
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == NULL) return -1;
  for (struct dirent* task; (task = readdir(tasks)) != NULL;) {
    char path[300];
    char line[256];
    if (task->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
    FILE* status = fopen(path, "r");
    if (status == NULL) continue;
    ++threads;
    unsigned user = 0;
    while (fgets(line, sizeof line, status) != NULL)
      if (sscanf(line, "Uid: %u", &user) == 1 && user == 0) ++*roots;
    fclose(status);
  }
  closedir(tasks);
  return threads;
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(void) {
  if (geteuid() != 0) {
    puts("SKIP: only root can give up its user");
    return 77;
  }
  int roots = 0;
  const double start = seconds();
  while (count_threads(&roots) < 2) {
    keep_busy();
    if (seconds() - start > 5) {
      puts("no purging thread came");
      return 1;
    }
  }
  if (setgroups(0, NULL) != 0 || setresgid(nobody, nobody, nobody) != 0 ||
      setresuid(nobody, nobody, nobody) != 0) {
    puts("SKIP: this root may not change its user");
    return 77;
  }
  const double given_up = seconds();
  for (;;) {
    keep_busy();
    (void)count_threads(&roots);
    if (roots == 0) break;
    if (seconds() - given_up > 1.5) {
      puts("a thread still has the old user");
      return 1;
    }
  }
  puts("ok");
  return 0;
}
