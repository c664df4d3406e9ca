/* Four threads, each with a connection of its own, that go on until the process ends: by somebody else's SIGKILL, or
   argv[3] microseconds after each has finished a unit of every kind, by a thread of its own, in the way of argv[2].
   Each counts its finished units in the file argv[1], which outlives the process. It declares what it uses itself,
   so that the same source compiles for macOS and for the library that stands for its IOKit. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint32_t name_t;
typedef int32_t kern_t;
typedef const void *cf_t;
extern name_t mach_task_self_;
cf_t IOServiceMatching(const char *class_name);
name_t IOServiceGetMatchingService(name_t main_port, cf_t matching);
kern_t IOServiceOpen(name_t service, name_t task, uint32_t type, name_t *connect);
kern_t IOConnectCallMethod(name_t, uint32_t, const uint64_t *, uint32_t, const void *, size_t, uint64_t *, uint32_t *,
                           void *, size_t *);
kern_t IOConnectCallAsyncScalarMethod(name_t, uint32_t, name_t, uint64_t *, uint32_t, const uint64_t *, uint32_t,
                                      uint64_t *, uint32_t *);
kern_t IOConnectMapMemory64(name_t, uint32_t, name_t, uint64_t *, uint64_t *, uint32_t);
kern_t IOConnectUnmapMemory64(name_t, uint32_t, name_t, uint64_t);
void *IONotificationPortCreate(name_t main_port);
name_t IONotificationPortGetMachPort(void *port);
cf_t IONotificationPortGetRunLoopSource(void *port);
void CFRunLoopAddSource(void *loop, cf_t source, cf_t mode);
void *CFRunLoopGetCurrent(void);
int32_t CFRunLoopRunInMode(cf_t mode, double seconds, unsigned char return_after);
extern const cf_t kCFRunLoopDefaultMode;

enum { THREADS = 4, APART = 8, BEGUN = 8 };
static _Atomic uint64_t *told;
static name_t service, wake;
static const char *way;
static unsigned delay;
static uint64_t called;

static void expect(int right, const char *what) {
  if (right) return;
  fprintf(stderr, "failed: %s\n", what);
  _exit(3);
}

static void on_completion(void *context, kern_t status) {
  (void)context;
  expect((uint32_t)status == 0xe00002eb, "completion"); /* what the dext fires with */
  called++;
}

static void unit(name_t connect, uint64_t self, uint64_t number) {
  static const unsigned char long_in[5000];
  unsigned char bytes[24] = {0};
  uint64_t in[3] = {sizeof bytes, self, number}, out[8], at = 0, length = 0;
  size_t size = sizeof bytes;
  uint32_t count = 8;
  switch (number % 8) {
    case 3: /* out of line */
      expect(IOConnectCallMethod(connect, 7, in, 3, long_in, sizeof long_in, out, &count, NULL, NULL) == 0, "long");
      return;
    case 5:
      expect(IOConnectMapMemory64(connect, 0, mach_task_self_, &at, &length, 1) == 0, "map");
      expect(IOConnectUnmapMemory64(connect, 0, mach_task_self_, at) == 0, "unmap");
      return;
    case 7:
      if (self == 0) {
        uint64_t reference[8] = {0, (uintptr_t)on_completion}, fire[4] = {0, 1, self, number}, before = called;
        expect(IOConnectCallAsyncScalarMethod(connect, 8, wake, reference, 3, fire, 4, NULL, NULL) == 0, "fire");
        while (called == before) CFRunLoopRunInMode(kCFRunLoopDefaultMode, 5, 1);
        return;
      } /* fall through */
    default:
      expect(IOConnectCallMethod(connect, 5, in, 3, bytes, size, NULL, NULL, bytes, &size) == 0, "call");
  }
}

static void *run(void *argument) {
  uint64_t self = (uintptr_t)argument;
  name_t connect = 0;
  expect(IOServiceOpen(service, mach_task_self_, 0, &connect) == 0, "open");
  for (uint64_t number = 0;; number++) {
    unit(connect, self, number);
    atomic_store(&told[self * APART], number + 1);
  }
  return NULL;
}

static void *end(void *argument) {
  (void)argument;
  for (int i = 0; i < THREADS; i++) {
    while (atomic_load(&told[i * APART]) < BEGUN) usleep(50);
  }
  usleep(delay);
  if (strcmp(way, "abort") == 0) abort();
  if (strcmp(way, "null") == 0) *(volatile int *volatile)NULL = 1;
  if (strcmp(way, "exit") == 0) _exit(42);
  return NULL; /* somebody else ends it */
}

int main(int argc, char **argv) {
  expect(argc == 4, "arguments");
  /* The library behind an interposer reads this, too, and only one of them shall record. */
  if (getenv("CLIENT_FORGETS_RECORD")) unsetenv("DEXTAPE_RECORD");
  int file = open(argv[1], O_RDWR);
  expect(file >= 0, "witness");
  told = mmap(NULL, THREADS * APART * 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  expect(told != MAP_FAILED, "memory of the witness");
  way = argv[2], delay = (unsigned)atoi(argv[3]);
  service = IOServiceGetMatchingService(0, IOServiceMatching("BoundaryProbe"));
  void *port = IONotificationPortCreate(0);
  wake = IONotificationPortGetMachPort(port);
  CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
  pthread_t thread;
  for (uintptr_t i = 1; i < THREADS; i++) expect(pthread_create(&thread, NULL, run, (void *)i) == 0, "thread");
  expect(pthread_create(&thread, NULL, end, NULL) == 0, "thread");
  run(NULL);
}
