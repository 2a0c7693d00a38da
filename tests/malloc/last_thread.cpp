// The first thread ends by itself, and the program with it, after a double free that still lies in
// the thread's caches: it has no heap any more when the program looks back.

#include <cstdlib>

#include <pthread.h>

int main() {
  void* volatile first = std::malloc(100);
  void* volatile second = std::malloc(100);
  std::free(first);
  std::free(second);
  std::free(first);
  pthread_exit(nullptr);
}
