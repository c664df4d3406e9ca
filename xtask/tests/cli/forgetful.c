/* A client of null-driver with a planted bug: it fails where what the eighth call gave it is as it should be
 * and so is what the thirty-second one gives. */
#include <IOKit/IOKitLib.h>
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  (void)argv;
  io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOUserService"));
  io_connect_t connect = IO_OBJECT_NULL;
  if (IOServiceOpen(service, mach_task_self(), 0, &connect) != KERN_SUCCESS) return 3;
  IOObjectRelease(service);
  uint64_t seen = 0;
  for (uint64_t i = 0; i < 40; i++) {
    uint64_t in[2] = {1000 + i, i}, out[2] = {0, 0};
    size_t size = sizeof out;
    if (IOConnectCallStructMethod(connect, 1, in, sizeof in, out, &size) != KERN_SUCCESS) return 4;
    if (i == 7) seen = out[0];
    /* With any argument the bug is mended. */
    if (i == 31 && argc == 1) assert(!(seen == 1008 && out[1] == 41));
  }
  IOServiceClose(connect);
  return 0;
}
