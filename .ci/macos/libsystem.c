// What the recorder uses of libSystem and macho-run does not have, for programs whose IOKit is
// libIOKit.so: linked with it, so that one library has both.
#define _GNU_SOURCE
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int __register_atfork(void (*before)(void), void (*parent)(void), void (*child)(void), void *library);
int pthread_atfork(void (*before)(void), void (*parent)(void), void (*child)(void)) {
  return __register_atfork(before, parent, child, 0);
}

// The region at or behind *address. A file tells what is there; what a device's memory would be
// is told of all shared memory where FAKE_DEVICE_MEMORY is set.
struct submap_info {
  int32_t protection, max_protection;
  uint32_t inheritance;
  uint64_t offset;
  uint32_t user_tag, pages[4], references;
  uint16_t shadow_depth;
  uint8_t external_pager, share_mode;
  int32_t is_submap, behavior;
  uint32_t object;
  uint16_t wired;
  uint32_t reusable;
} __attribute__((packed, aligned(4)));

int mach_vm_region_recurse(uint32_t task, uint64_t *address, uint64_t *size, uint32_t *depth, struct submap_info *info,
                           uint32_t *count) {
  FILE *maps = fopen("/proc/self/maps", "re");
  char line[512], flags[5];
  unsigned long start, end;
  int result = 1;  // KERN_INVALID_ADDRESS
  while (maps && result && fgets(line, sizeof line, maps)) {
    if (sscanf(line, "%lx-%lx %4s", &start, &end, flags) != 3 || end <= *address) continue;
    int shared = flags[3] == 's';
    memset(info, 0, sizeof *info);
    info->protection = (flags[0] == 'r') | (flags[1] == 'w') << 1 | (flags[2] == 'x') << 2;
    info->max_protection = 7;
    info->share_mode = shared ? 4 : 2;  // SM_SHARED, SM_PRIVATE
    info->external_pager = shared && getenv("FAKE_DEVICE_MEMORY");
    *address = start;
    *size = end - start;
    *depth = 0;
    result = 0;
  }
  if (maps) fclose(maps);
  return result;
}

// How many threads there are: of struct proc_taskinfo only that. Threads of the mock behind libIOKit
// are those of another process on a Mac; they have names of their own.
int proc_pidinfo(int process, int flavor, uint64_t argument, void *into, int size) {
  enum { TASKINFO = 4, SIZE = 96, THREADS = 84 };
  if (flavor != TASKINFO || size < SIZE) return 0;
  DIR *tasks = opendir("/proc/self/task");
  int threads = 0;
  for (struct dirent *task; tasks && (task = readdir(tasks));) {
    char path[300], name[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
    FILE *comm = task->d_name[0] == '.' ? NULL : fopen(path, "re");
    if (!comm) continue;
    if (fgets(name, sizeof name, comm) && strncmp(name, "mock", 4)) threads++;
    fclose(comm);
  }
  if (tasks) closedir(tasks);
  memset(into, 0, SIZE);
  memcpy((char *)into + THREADS, &threads, sizeof threads);
  return SIZE;
}
