/* Process 1 of the guest that guest.py boots: mounts what tests read, runs the programs that the
 * file /commands names, one a line with its arguments, reports each one's status and powers off. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { arguments_max = 64, line_size = 4096 };

static void mount_on(const char* directory, const char* type) {
  mkdir(directory, 0755);
  if (mount(type, directory, type, 0, NULL) != 0) perror(directory);
}

/* Runs one line; the status as a shell tells it: the exit code, or 128 and the signal. */
static int run(char* line) {
  char* arguments[arguments_max] = {NULL};
  int count = 0;
  for (char* word = strtok(line, " \n"); word != NULL && count < arguments_max - 1;
       word = strtok(NULL, " \n"))
    arguments[count++] = word;
  if (count == 0) return 0;
  const pid_t child = fork();
  if (child == 0) {
    execv(arguments[0], arguments);
    perror(arguments[0]);
    _exit(127);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return 126;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(void) {
  if (getpid() != 1) {
    fputs("init: this is for the guest that guest.py boots; it must be process 1 there\n", stderr);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  mount_on("/proc", "proc");
  mount_on("/sys", "sysfs");
  mount_on("/dev", "devtmpfs");
  mount_on("/dev/shm", "tmpfs");
  mount_on("/tmp", "tmpfs");
  setenv("HOME", "/tmp", 1);
  setenv("ACRE_TEST_GUEST", "1", 1);

  FILE* commands = fopen("/commands", "re");
  char line[line_size];
  while (commands != NULL && fgets(line, sizeof line, commands) != NULL) {
    const int status = run(line);
    printf("\nguest: status %d\n", status);
  }
  puts("guest: done");
  fflush(stdout);
  reboot(RB_POWER_OFF);
  return 1;
}
