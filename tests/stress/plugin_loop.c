/* Loads and unloads a plug-in again and again on two threads: plugin_loop PLUGIN */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { rounds = 300 };

static void* load_and_unload(void* path) {
  for (int round = 0; round < rounds; ++round) {
    void* plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (plugin == NULL) {
      fprintf(stderr, "%s\n", dlerror());
      exit(1);
    }
    char* (*make_text)(void) = NULL;
    *(void**)&make_text = dlsym(plugin, "make_text");
    char* text = make_text();
    dlclose(plugin);
    if (strcmp(text, "made in the plug-in") != 0) exit(2);
    free(text);
  }
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 2) return 3;
  pthread_t thread;
  if (pthread_create(&thread, NULL, load_and_unload, argv[1]) != 0) return 4;
  load_and_unload(argv[1]);
  pthread_join(thread, NULL);
  return 0;
}
