/* Stands in for libacre-malloc.so in the tool's tests: no heap, but the same summary lines.
 *
 * The figures are made up and known, so that tests can compare what the tool prints with them. A
 * tick is written at start when summary_interval_ms is set, and the exit line at exit.
 *
 * FAKE_IDLE_COPY=first or last adds the lines of a second copy that gives out nothing, as in a
 * program that is linked with the library and has it preloaded, too. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void find_path(char* path, size_t size) {
  const char* options = getenv("ACRE_OPTIONS");
  const char* start = options != NULL ? strstr(options, "summary_path=") : NULL;
  path[0] = '\0';
  if (start == NULL) return;
  start += strlen("summary_path=");
  const size_t length = strcspn(start, ",");
  if (length < size) {
    memcpy(path, start, length);
    path[length] = '\0';
  }
}

static void append_line(const char* event, long allocations) {
  char path[256];
  find_path(path, sizeof path);
  const int file = path[0] != '\0' ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
  if (file < 0) return;
  char exe[256] = "";
  if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0) exe[0] = '\0';
  char line[2048];
  const int length = snprintf(
      line, sizeof line,
      "{\"acre\":1,\"event\":\"%s\",\"pid\":%d,\"ppid\":%d,\"exe\":\"%s\",\"wall_ms\":1500,"
      "\"user_ms\":1200,\"system_ms\":30,\"minor_faults\":4321,\"major_faults\":2,"
      "\"rss_bytes\":50331648,\"rss_peak_bytes\":85248896,\"allocations\":%ld,"
      "\"frees\":1234500,\"live_bytes\":1258291,\"live_bytes_peak\":63019417,"
      "\"committed_bytes\":67108864,\"threads_peak\":3,"
      "\"waste\":{\"rounding_bytes\":1048576,\"rounding_samples\":99,\"slab_free_bytes\":2097152,"
      "\"cache_bytes\":65536,\"retained_bytes\":3145728,\"metadata_bytes\":131072},"
      "\"large\":{\"allocations\":12,\"live\":1,\"live_bytes\":262144},"
      "\"classes\":[{\"size\":16,\"allocations\":1000000,\"live\":10,\"live_bytes\":160},"
      "{\"size\":64,\"allocations\":200000,\"live\":5000,\"live_bytes\":320000},"
      "{\"size\":96,\"allocations\":30000,\"live\":0,\"live_bytes\":0},"
      "{\"size\":1024,\"allocations\":4000,\"live\":600,\"live_bytes\":614400},"
      "{\"size\":4096,\"allocations\":500,\"live\":15,\"live_bytes\":61440},"
      "{\"size\":8192,\"allocations\":55,\"live\":0,\"live_bytes\":0}]}\n",
      event, (int)getpid(), (int)getppid(), exe, allocations);
  if (write(file, line, (size_t)length) != length) abort();
  close(file);
}

static void append_lines(const char* event) {
  const char* idle = getenv("FAKE_IDLE_COPY");
  if (idle != NULL && strcmp(idle, "first") == 0) append_line(event, 0);
  append_line(event, 1234567);
  if (idle != NULL && strcmp(idle, "last") == 0) append_line(event, 0);
}

/* By this the tool tells that it is Acre's library. */
__attribute__((visibility("default"))) void* acre_malloc(size_t size);
void* acre_malloc(size_t size) {
  return malloc(size);
}

__attribute__((constructor)) static void start(void) {
  const char* options = getenv("ACRE_OPTIONS");
  if (getenv("ACRE_PRELOAD_ONCE") != NULL) unsetenv("LD_PRELOAD");
  if (options != NULL && strstr(options, "summary_interval_ms=") != NULL) append_lines("tick");
}

__attribute__((destructor)) static void finish(void) {
  append_lines("exit");
}
