/* A client of the boundary probe that uses what the interposer replaces. It declares what it uses
 * itself, so that the same source compiles for macOS and for the library that stands for its IOKit. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef uint32_t name_t;
typedef int32_t kern_t;
typedef const void *cf_t;
extern name_t mach_task_self_;
cf_t IOServiceMatching(const char *class_name);
name_t IOServiceGetMatchingService(name_t main_port, cf_t matching);
kern_t IOServiceGetMatchingServices(name_t main_port, cf_t matching, name_t *found);
name_t IOIteratorNext(name_t iterator);
kern_t IOObjectRelease(name_t object);
cf_t IORegistryEntryCreateCFProperty(name_t entry, cf_t key, cf_t allocator, uint32_t options);
kern_t IOServiceOpen(name_t service, name_t task, uint32_t type, name_t *connect);
kern_t IOServiceClose(name_t connect);
kern_t IOConnectCallMethod(name_t, uint32_t, const uint64_t *, uint32_t, const void *, size_t, uint64_t *, uint32_t *,
                           void *, size_t *);
kern_t IOConnectCallScalarMethod(name_t, uint32_t, const uint64_t *, uint32_t, uint64_t *, uint32_t *);
kern_t IOConnectCallStructMethod(name_t, uint32_t, const void *, size_t, void *, size_t *);
kern_t IOConnectCallAsyncMethod(name_t, uint32_t, name_t, uint64_t *, uint32_t, const uint64_t *, uint32_t, const void *,
                                size_t, uint64_t *, uint32_t *, void *, size_t *);
kern_t IOConnectCallAsyncScalarMethod(name_t, uint32_t, name_t, uint64_t *, uint32_t, const uint64_t *, uint32_t,
                                      uint64_t *, uint32_t *);
kern_t IOConnectMapMemory64(name_t, uint32_t, name_t, uint64_t *, uint64_t *, uint32_t);
kern_t IOConnectUnmapMemory64(name_t, uint32_t, name_t, uint64_t);
kern_t IOConnectTrap2(name_t, uint32_t, uintptr_t, uintptr_t);
kern_t IOConnectSetNotificationPort(name_t, uint32_t, name_t, uintptr_t);
kern_t IOConnectAddClient(name_t, name_t);
void *IONotificationPortCreate(name_t main_port);
void IONotificationPortDestroy(void *port);
name_t IONotificationPortGetMachPort(void *port);
cf_t IONotificationPortGetRunLoopSource(void *port);
cf_t CFStringCreateWithBytes(cf_t allocator, const uint8_t *bytes, long length, uint32_t encoding, unsigned char external);
void CFRelease(cf_t value);
void CFRunLoopAddSource(void *loop, cf_t source, cf_t mode);
void *CFRunLoopGetCurrent(void);
int32_t CFRunLoopRunInMode(cf_t mode, double seconds, unsigned char return_after);
extern const cf_t kCFRunLoopDefaultMode;

static int called;
static void none(void *r, kern_t s) { printf("none %s %x\n", (char *)r, (unsigned)s); called++; }
static void one(void *r, kern_t s, void *a) { printf("one %s %x %p\n", (char *)r, (unsigned)s, a); called++; }
static void two(void *r, kern_t s, void *a, void *b) { printf("two %s %x %p %p\n", (char *)r, (unsigned)s, a, b); called++; }
static void many(void *r, kern_t s, void **a, uint32_t n) {
  printf("many %s %x %u %p\n", (char *)r, (unsigned)s, n, a[n - 1]);
  called++;
}

static name_t connection, wake;

static void fire(void *function, const char *context, uint64_t arguments, uint64_t times) {
  uint64_t reference[8] = {77, (uintptr_t)function, (uintptr_t)context, 5, 6};
  uint64_t in[2] = {arguments, times};
  kern_t kr = IOConnectCallAsyncScalarMethod(connection, 8, wake, reference, 5, in, 2, NULL, NULL);
  /* The kernel does not change the client's array (D7). */
  printf("fired %x %d %d\n", (unsigned)kr, reference[0] == 77, reference[1] == (uintptr_t)function);
}

static void wait_for(int count) {
  while (called < count) CFRunLoopRunInMode(kCFRunLoopDefaultMode, 5, 1);
}

#ifdef LINKED
#include "../../include/dextape.h"
#endif

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  /* The library behind the interposer reads this, too, and only one of them shall record here. */
  if (getenv("CLIENT_FORGETS_RECORD")) unsetenv("DEXTAPE_RECORD");
  setvbuf(stdout, NULL, _IONBF, 0);
#ifdef LINKED
  /* All that follows, as an inserted library records it. */
  int all = argc > 2 && strcmp(argv[2], "all") == 0;
  if (all && dextape_record_start(argv[1])) return 1;
  /* What comes before is not recorded. */
  if (!all) {
  IOObjectRelease(IOServiceGetMatchingService(0, IOServiceMatching("BoundaryProbe")));
  printf("stop %d\n", dextape_record_stop());
  printf("start %d\n", dextape_record_start(argv[1]));
  printf("again %d\n", dextape_record_start(argv[1]));
  }
#endif
  name_t iterator = 0;
  printf("look %x\n", (unsigned)IOServiceGetMatchingServices(0, IOServiceMatching("NoSuchClass"), &iterator));
  printf("empty %d\n", IOIteratorNext(iterator) == 0);
  IOObjectRelease(iterator);
  name_t service = IOServiceGetMatchingService(0, IOServiceMatching("BoundaryProbe"));
  cf_t key = CFStringCreateWithBytes(NULL, (const uint8_t *)"IOClass", 7, 0x08000100, 0);
  cf_t value = IORegistryEntryCreateCFProperty(service, key, NULL, 0);
  printf("property %d\n", value != NULL);
  if (value) CFRelease(value);
  CFRelease(key);
#ifdef LINKED
  if (!all) printf("trigger %d\n", dextape_record_trigger("it stalled"));
#endif
  printf("open %x\n", (unsigned)IOServiceOpen(service, mach_task_self_, 0, &connection));
  IOObjectRelease(service);
#ifdef LINKED
  if (!all) {
    printf("stop %d\n", dextape_record_stop());
    printf("close %x\n", (unsigned)IOServiceClose(connection));
    return 0;
  }
#endif

  if (strcmp(mode, "fork") == 0) {
    pid_t child = fork();
    if (child == 0) {
      IOServiceGetMatchingService(0, IOServiceMatching("OfTheChild"));
      exit(0); /* with its handlers, which must leave the tape to the parent */
    }
    int status = 0;
    waitpid(child, &status, 0);
    printf("child %d\n", status);
    return IOServiceClose(connection);
  }

  if (strcmp(mode, "memory") == 0) {
    uint64_t at = 0, length = 0;
    if (IOConnectMapMemory64(connection, 0, mach_task_self_, &at, &length, 1)) return 1;
    volatile unsigned char *memory = (unsigned char *)(uintptr_t)at;
    memory[3] = 0x42;
    usleep(100000); /* longer than the recorder waits before it looks by itself */
    memory[4] = 0x43;
    IOConnectCallScalarMethod(connection, 1, NULL, 0, NULL, NULL);
    return IOServiceClose(connection);
  }

  uint64_t in[17] = {1, 2, 3}, out[17] = {0};
  uint32_t count = 4;
  printf("scalar %x", (unsigned)IOConnectCallScalarMethod(connection, 1, in, 3, out, &count));
  printf(" %u %llu %llu\n", count, (unsigned long long)out[0], (unsigned long long)out[3]);
  count = 20;
  printf("clamped %x", (unsigned)IOConnectCallScalarMethod(connection, 1, in, 3, out, &count));
  printf(" %u\n", count);
  printf("too many %x\n", (unsigned)IOConnectCallScalarMethod(connection, 1, in, 17, NULL, NULL));
  count = 4;
  printf("failed %x", (unsigned)IOConnectCallScalarMethod(connection, 4, in, 1, out, &count));
  printf(" %u\n", count);
  unsigned char bytes[64];
  memset(bytes, 0xee, sizeof bytes);
  size_t size = sizeof bytes;
  uint64_t ten = 10;
  printf("struct %x", (unsigned)IOConnectCallMethod(connection, 5, &ten, 1, "abcd", 4, NULL, NULL, bytes, &size));
  printf(" %zu %x %x\n", size, bytes[9], bytes[10]);
  size = sizeof bytes;
  printf("unset %x", (unsigned)IOConnectCallStructMethod(connection, 0, NULL, 0, bytes, &size));
  printf(" %zu %x\n", size, bytes[10]);
  static unsigned char long_in[5000], long_out[6000];
  memset(long_in, 0x11, sizeof long_in);
  size = sizeof long_out;
  count = 8;
  printf("long %x", (unsigned)IOConnectCallMethod(connection, 7, in, 2, long_in, sizeof long_in, out, &count, long_out, &size));
  printf(" %zu %llu %llu\n", size, (unsigned long long)out[2], (unsigned long long)out[4]);
  size = sizeof long_out;
  printf("written %x", (unsigned)IOConnectCallMethod(connection, 11, in, 1, NULL, 0, NULL, NULL, long_out, &size));
  printf(" %zu %x\n", size, long_out[5999]);
  printf("dead %x\n", (unsigned)IOConnectCallScalarMethod(0, 1, in, 3, NULL, NULL));

  uint64_t address = 0, length = 0;
  printf("map %x", (unsigned)IOConnectMapMemory64(connection, 0, mach_task_self_, &address, &length, 1));
  printf(" %llu %d\n", (unsigned long long)length, address != 0);
  volatile unsigned char *memory = (volatile unsigned char *)(uintptr_t)address;
  memory[3] = 0x42;
  printf("call %x\n", (unsigned)IOConnectCallScalarMethod(connection, 0, NULL, 0, NULL, NULL));
  memory[100] = 0x43;
  if (strcmp(mode, "crash") == 0) abort();
  printf("unmap %x\n", (unsigned)IOConnectUnmapMemory64(connection, 0, mach_task_self_, address));
  printf("no type %x\n", (unsigned)IOConnectMapMemory64(connection, 9, mach_task_self_, &address, &length, 1));

  void *port = IONotificationPortCreate(0);
  wake = IONotificationPortGetMachPort(port);
  CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
  fire(none, "a", 0, 1);
  wait_for(1);
  fire(one, "b", 1, 1);
  wait_for(2);
  fire(two, "c", 2, 2);
  wait_for(4);
  fire(many, "d", 3, 1);
  wait_for(5);
  fire(many, "e", 16, 1);
  wait_for(6);
  uint64_t empty[8] = {0};
  printf("empty reference %x\n", (unsigned)IOConnectCallAsyncScalarMethod(connection, 8, wake, empty, 0, in, 2, NULL, NULL));
  printf("no port %x\n", (unsigned)IOConnectCallAsyncScalarMethod(connection, 8, 0, empty, 3, in, 2, NULL, NULL));

  printf("trap %x\n", (unsigned)IOConnectTrap2(connection, 3, 8, 9));
  printf("notify %x\n", (unsigned)IOConnectSetNotificationPort(connection, 2, wake, 0x12345678));
  printf("client %x\n", (unsigned)IOConnectAddClient(connection, connection));
  printf("close %x\n", (unsigned)IOServiceClose(connection));
  printf("closed %x\n", (unsigned)IOConnectCallScalarMethod(connection, 1, in, 3, NULL, NULL));
  IONotificationPortDestroy(port);
#ifdef LINKED
  if (dextape_record_stop()) return 1;
#endif
  return 0;
}
