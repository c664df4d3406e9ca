/* The client of the scenario null-driver in C: the synchronous calls that the client in Rust makes, in the
 * same order, and with the argument `async` a registration whose completion comes by the run loop. */
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <mach/mach_error.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  uint64_t foo, bar;
} Data;

typedef struct {
  Data data;
  uint64_t large[511];
} OversizedData;

enum { SCALAR, STRUCT, CHECKED_SCALAR, CHECKED_STRUCT, REGISTER_ASYNC };

static io_service_t find(void) {
  CFMutableDictionaryRef properties =
      CFDictionaryCreateMutable(NULL, 0, &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
  CFMutableDictionaryRef matching =
      CFDictionaryCreateMutable(NULL, 0, &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
  CFDictionarySetValue(properties, CFSTR(kIOUserClassKey), CFSTR("NullDriver"));
  CFDictionarySetValue(matching, CFSTR(kIOPropertyMatchKey), properties);
  CFRelease(properties);
  return IOServiceGetMatchingService(kIOMainPortDefault, matching);
}

static void scalars(io_connect_t connect, uint32_t selector, const char *what, const uint64_t *in, uint32_t count,
                    uint32_t asked, const Data *structure) {
  uint64_t out[16];
  kern_return_t result =
      IOConnectCallMethod(connect, selector, in, count, structure, structure ? sizeof *structure : 0, out, &asked, NULL, NULL);
  printf("%s: %x", what, (unsigned)result);
  for (uint32_t i = 0; result == KERN_SUCCESS && i < asked; i++) printf(" %u", (unsigned)out[i]);
  printf("\n");
}

static void structure(io_connect_t connect, uint32_t selector, const char *what, const void *in, size_t in_size, size_t asked) {
  static OversizedData out;
  memset(&out, 0, sizeof out);
  kern_return_t result = IOConnectCallStructMethod(connect, selector, in, in_size, &out, &asked);
  printf("%s: %x, %zu bytes, foo %u bar %u, large %u\n", what, (unsigned)result, asked, (unsigned)out.data.foo,
         (unsigned)out.data.bar, (unsigned)out.large[510]);
}

static void completed(void *context, IOReturn status, void **arguments, uint32_t count) {
  printf("completion of %s: %x with %u arguments:", (const char *)context, (unsigned)status, count);
  for (uint32_t i = 0; i < count; i++) printf(" %u", (unsigned)(uintptr_t)arguments[i]);
  printf("\n");
  CFRunLoopStop(CFRunLoopGetCurrent());
}

static void asynchronous(io_connect_t connect) {
  IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
  CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
  Data data = {300, 400}, answer = {0, 0};
  size_t size = sizeof answer;
  io_user_scalar_t reference[kOSAsyncRef64Count] = {0};
  reference[kIOAsyncCalloutFuncIndex] = (io_user_scalar_t)(uintptr_t)completed;
  reference[kIOAsyncCalloutRefconIndex] = (io_user_scalar_t)(uintptr_t)"the registration";
  kern_return_t result = IOConnectCallAsyncStructMethod(connect, REGISTER_ASYNC, IONotificationPortGetMachPort(port), reference,
                                                        kIOAsyncCalloutCount, &data, sizeof data, &answer, &size);
  printf("register: %x, foo %u bar %u\n", (unsigned)result, (unsigned)answer.foo, (unsigned)answer.bar);
  CFRunLoopRun();
  IONotificationPortDestroy(port);
}

int main(int argc, char **argv) {
  io_service_t service = find();
  if (service == IO_OBJECT_NULL) {
    fprintf(stderr, "there is no NullDriver\n");
    return 1;
  }
  io_connect_t connect = IO_OBJECT_NULL;
  kern_return_t result = IOServiceOpen(service, mach_task_self(), 0, &connect);
  IOObjectRelease(service);
  if (result != KERN_SUCCESS) {
    fprintf(stderr, "failed to open NullDriver: %s\n", mach_error_string(result));
    return 1;
  }
  uint64_t in[16];
  for (int i = 0; i < 16; i++) in[i] = (uint64_t)i;
  Data small = {300, 400};
  static OversizedData large;
  large.data = small;

  scalars(connect, SCALAR, "scalar", in, 16, 16, NULL);
  structure(connect, STRUCT, "struct", &small, sizeof small, sizeof small);
  structure(connect, STRUCT, "oversized struct", &large, sizeof large, sizeof large);
  structure(connect, STRUCT, "oversized struct in, small out", &large, sizeof large, sizeof small);
  structure(connect, STRUCT, "struct, nothing in", NULL, 0, sizeof small);
  scalars(connect, CHECKED_SCALAR, "checked scalar", in, 16, 16, NULL);
  scalars(connect, CHECKED_SCALAR, "checked scalar, 15 in", in + 1, 15, 16, NULL);
  scalars(connect, CHECKED_SCALAR, "checked scalar, 15 out", in, 16, 15, NULL);
  scalars(connect, CHECKED_SCALAR, "checked scalar and a structure", in, 16, 16, &small);
  structure(connect, CHECKED_STRUCT, "checked struct", &small, sizeof small, sizeof small);
  structure(connect, CHECKED_STRUCT, "checked struct, 15 bytes in", (const char *)&small + 1, 15, sizeof small);
  structure(connect, CHECKED_STRUCT, "checked struct, 17 bytes out", &small, sizeof small, 17);
  structure(connect, CHECKED_STRUCT, "checked struct, oversized in", &large, sizeof large, sizeof small);
  printf("no such selector: %x\n", (unsigned)IOConnectCallScalarMethod(connect, 6, NULL, 0, NULL, NULL));
  if (argc > 1 && strcmp(argv[1], "async") == 0) asynchronous(connect);
  printf("close: %x\n", (unsigned)IOServiceClose(connect));
  return 0;
}
