/* Blocks that a program and a deeply bound library hand to each other: deep_host
   The library is found only through the path that this program carries, so the loader must see that
   this program asks for it, whoever else stands between. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
  void* library = dlopen("libdeep_library.so", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  char* (*exchange)(char*) = NULL;
  *(void**)&exchange = dlsym(library, "exchange");
  char* text = strdup("first");
  for (int round = 0; round < 1000; ++round)
    text = exchange(text);
  const int same = strcmp(text, "first") == 0;
  free(text);
  if (dlopen("./there/is/no/such.so", RTLD_NOW) != NULL || dlerror() == NULL) return 3;
  return same ? 0 : 2;
}
