/* The client of the scenario input-descriptor in C: buffers for the device to fill, as output structures or, with the
 * argument `input`, naively as input structures. */
#include "client.h"

enum { CAPTURE };
/* What is in a buffer that nobody has filled; no sample is that. */
enum { EMPTY = 0xf5 };

static struct {
  IOReturn status;
  uint64_t tag, bytes;
} ended;

static void captured(void *context, IOReturn status, void *tag, void *bytes) {
  (void)context;
  ended.status = status, ended.tag = (uintptr_t)tag, ended.bytes = (uintptr_t)bytes;
}

static void capture(io_connect_t connect, IONotificationPortRef port, int is_input, uint64_t tag, uint8_t *buffer, size_t length) {
  uint64_t reference[kOSAsyncRef64Count] = {0};
  reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)captured;
  reference[kIOAsyncCalloutRefconIndex] = tag;
  memset(buffer, EMPTY, length);
  size_t size = length;
  kern_return_t result = IOConnectCallAsyncMethod(
      connect, CAPTURE, IONotificationPortGetMachPort(port), reference, kIOAsyncCalloutCount, &tag, 1, is_input ? buffer : NULL,
      is_input ? length : 0, NULL, NULL, is_input ? NULL : buffer, is_input ? NULL : &size);
  printf("capture %zu: %s\n", length, outcome(result, NULL, 0, is_input ? 0 : size));
  if (result != KERN_SUCCESS) return;
  if (CFRunLoopRunInMode(kCFRunLoopDefaultMode, 1, true) != kCFRunLoopRunHandledSource) {
    printf("  no completion\n");
    return;
  }
  printf("  completion%s: %s, %llu bytes\n", ended.tag == tag ? "" : " of another", told(ended.status),
         (unsigned long long)ended.bytes);
  size_t samples = 0, empty = 0;
  while (samples < length && buffer[samples] == (uint8_t)(samples % 239)) samples++;
  for (size_t i = 0; i < length; i++) empty += buffer[i] == EMPTY;
  printf("  in the buffer: %zu samples, %zu bytes as before\n", samples, empty);
}

int main(int argc, char **argv) {
  static uint8_t buffers[3][8192];
  /* The last one goes in the message and has no descriptor. */
  static const size_t sizes[3] = {8192, 5000, 4096};
  int is_input = argc > 1 && strcmp(argv[1], "input") == 0;
  io_connect_t connect = open_dext("InputDescriptor");
  IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
  CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
  for (int i = 0; i < 3; i++) capture(connect, port, is_input, (uint64_t)i + 1, buffers[i], sizes[i]);
  printf("close: %s\n", told(IOServiceClose(connect)));
  IONotificationPortDestroy(port);
  return 0;
}
