/* A C program that loads a C++ plug-in with its names kept local: plugin_host PLUGIN */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  for (int round = 0; round < 3; ++round) {
    void* plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (plugin == NULL) {
      fprintf(stderr, "%s\n", dlerror());
      return 1;
    }
    int (*run)(void) = NULL;
    *(void**)&run = dlsym(plugin, "run_plugin");
    const int failed_step = run();
    if (failed_step != 0) {
      fprintf(stderr, "step %d of the plug-in failed\n", failed_step);
      return 1;
    }
    dlclose(plugin);
  }
  return 0;
}
