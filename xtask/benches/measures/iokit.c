/* argv[1] calls of 24 bytes in and 64 out, by IOKit; prints nanoseconds a call. argv[2] maps memory of that
   type before. */
#include <IOKit/IOKitLib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int argc, char **argv) {
  uint64_t calls = strtoull(argc > 1 ? argv[1] : "1", NULL, 10), wanted = 64;
  io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("BoundaryProbe"));
  io_connect_t connect = 0;
  kern_return_t kr = IOServiceOpen(service, mach_task_self(), 0, &connect);
  if (kr == 0 && argc > 2) {
    mach_vm_address_t at = 0;
    mach_vm_size_t size = 0;
    kr = IOConnectMapMemory64(connect, (uint32_t)atoi(argv[2]), mach_task_self(), &at, &size, kIOMapAnywhere);
  }
  unsigned char in[24], out[64];
  memset(in, 0x11, sizeof in);
  double start = now();
  for (uint64_t call = 0; call < calls && kr == 0; call++) {
    size_t size = sizeof out;
    memcpy(in, &call, sizeof call);
    kr = IOConnectCallMethod(connect, 5, &wanted, 1, in, sizeof in, NULL, NULL, out, &size);
    if (size != sizeof out) kr = -1;
  }
  double took = now() - start;
  if (kr != 0) {
    fprintf(stderr, "failed to call: %#x\n", (unsigned)kr);
    return 1;
  }
  printf("%.3f\n", took / (double)calls);
  IOServiceClose(connect);
  IOObjectRelease(service);
  return 0;
}
