/* Loading libpeft.so starts no thread, opens no file and leaves none open, and
 * what its constructors allocate is the C++ library's: one reserve for
 * exceptions. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The entries of a folder of /proc; the folder itself is one of the fds. */
static int Count(const char* path) {
  DIR* folder = opendir(path);
  int count = 0;
  while (folder != NULL && readdir(folder) != NULL) ++count;
  if (folder != NULL) closedir(folder);
  return count;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const int threads = Count("/proc/self/task");
  const int files = Count("/proc/self/fd");
  void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    fprintf(stderr, "FAILED: %s\n", dlerror());
    return 1;
  }
  int (*version)(void);
  void* symbol = dlsym(library, "peft_api_version");
  memcpy(&version, &symbol, sizeof(version));
  if (version() < 4) return 1;
  if (Count("/proc/self/task") != threads) {
    fprintf(stderr, "FAILED: a thread was started\n");
    return 1;
  }
  if (Count("/proc/self/fd") != files) {
    fprintf(stderr, "FAILED: a file is open\n");
    return 1;
  }
  return 0;
}
