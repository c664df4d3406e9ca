/* The client of the scenario usb-bulk in C: transfers as asynchronous calls, whose completions the run loop brings. */
#include "client.h"

enum { WRITE, READ, ABORT, CLEAR_STALL, DEVICE, COUNTS };
enum { OUT_ENDPOINT, IN_ENDPOINT };
enum { SEND, STALL };

static io_connect_t connect_;
static IONotificationPortRef port;
/* Tells the transfers apart. */
static uint64_t tag;

/* How the transfer ended that completed last. */
static struct {
  IOReturn status;
  uint64_t tag, bytes, context;
} ended;

static void completed(void *context, IOReturn status, void *of, void *bytes) {
  ended.status = status;
  ended.tag = (uintptr_t)of, ended.bytes = (uintptr_t)bytes, ended.context = (uintptr_t)context;
}
static volatile int writes_completed, reads_completed;
static void write_completed(void *context, IOReturn status, void *of, void *bytes) {
  writes_completed++;
  completed(context, status, of, bytes);
}
static void read_completed(void *context, IOReturn status, void *of, void *bytes) {
  reads_completed++;
  completed(context, status, of, bytes);
}

static kern_return_t begin_write(const void *bytes, size_t size) {
  uint64_t reference[kOSAsyncRef64Count] = {0};
  tag++;
  reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)write_completed;
  reference[kIOAsyncCalloutRefconIndex] = tag;
  return IOConnectCallAsyncMethod(connect_, WRITE, IONotificationPortGetMachPort(port), reference, kIOAsyncCalloutCount, &tag, 1,
                                  bytes, size, NULL, NULL, NULL, NULL);
}

static kern_return_t begin_read(void *buffer, size_t *size) {
  uint64_t reference[kOSAsyncRef64Count] = {0};
  tag++;
  reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)read_completed;
  reference[kIOAsyncCalloutRefconIndex] = tag;
  return IOConnectCallAsyncMethod(connect_, READ, IONotificationPortGetMachPort(port), reference, kIOAsyncCalloutCount, &tag, 1,
                                  NULL, 0, NULL, NULL, buffer, size);
}

/* Waits for the transfer that was begun last and tells how it went. */
static const char *finish(void) {
  static char text[128];
  if (CFRunLoopRunInMode(kCFRunLoopDefaultMode, 1, true) != kCFRunLoopRunHandledSource) return "no completion";
  int mine = ended.tag == tag && ended.context == tag;
  snprintf(text, sizeof text, "%s, %llu bytes%s", told(ended.status), (unsigned long long)ended.bytes,
           mine ? "" : " of another transfer");
  return text;
}

static void device(uint64_t command, uint64_t argument) {
  uint64_t in[2];
  in[0] = command, in[1] = argument;
  need(IOConnectCallScalarMethod(connect_, DEVICE, in, 2, NULL, NULL), "tell the device");
}

/* Packets, bytes and the sum of the bytes that the device has received, and bytes that the dext has copied. */
static void counts(uint64_t out[4]) {
  uint32_t asked = 4;
  need(IOConnectCallScalarMethod(connect_, COUNTS, NULL, 0, out, &asked), "count");
}

static void writes(void) {
  static const size_t sizes[] = {1, 512, 4096, 4097, 8192, 10000};
  static uint8_t bytes[10000];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i % 253);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    uint64_t before[4], after[4], expected = 0;
    counts(before);
    kern_return_t result = begin_write(bytes, sizes[i]);
    const char *finished = finish();
    counts(after);
    printf("write %zu: %s; %s; device %llu packets, %llu bytes; copied %llu\n", sizes[i], told(result), finished,
           (unsigned long long)(after[0] - before[0]), (unsigned long long)(after[1] - before[1]),
           (unsigned long long)(after[3] - before[3]));
    for (size_t j = 0; j < sizes[i]; j++) expected += bytes[j];
    if (after[2] - before[2] != expected) printf("  other bytes arrived\n");
  }
}

static void stall(void) {
  static uint8_t bytes[100];
  static const char *const what[] = {"stalled write", "write while stalled"};
  uint64_t endpoint = OUT_ENDPOINT;
  memset(bytes, 1, sizeof bytes);
  device(STALL, 0);
  for (int i = 0; i < 2; i++) {
    kern_return_t result = begin_write(bytes, sizeof bytes);
    printf("%s: %s; %s\n", what[i], told(result), result == KERN_SUCCESS ? finish() : "no transfer");
  }
  printf("clear the stall: %s\n", told(IOConnectCallScalarMethod(connect_, CLEAR_STALL, &endpoint, 1, NULL, NULL)));
  kern_return_t result = begin_write(bytes, sizeof bytes);
  printf("write after it: %s; %s\n", told(result), finish());
}

/* How many bytes at the start of the buffer are those that the device sends. */
static unsigned filled(const volatile uint8_t *buffer, size_t size) {
  unsigned count = 0;
  while (count < size && buffer[count] == (uint8_t)(count % 251)) count++;
  return count;
}

static void reads(void) {
  static const char *const what[] = {"whole", "short", "empty"};
  static const uint64_t sent[] = {8192, 1000, 0};
  static uint8_t buffers[3][8192];
  for (int i = 0; i < 3; i++) {
    memset(buffers[i], 0xee, sizeof buffers[i]);
    size_t size = sizeof buffers[i];
    kern_return_t result = begin_read(buffers[i], &size);
    /* The call has returned, and nothing has come yet. */
    unsigned early = filled(buffers[i], sizeof buffers[i]);
    device(SEND, sent[i]);
    const char *finished = finish();
    printf("read, %s: %s; %u bytes when it returned; %s; %u bytes then\n", what[i],
           outcome(result, NULL, 0, size), early, finished, filled(buffers[i], sizeof buffers[i]));
  }
}

static void abort_read(void) {
  static uint8_t buffer[8192];
  size_t size = sizeof buffer;
  uint64_t endpoint = IN_ENDPOINT;
  kern_return_t result = begin_read(buffer, &size);
  printf("read without data: %s; ", outcome(result, NULL, 0, size));
  printf("%s\n", finish());
  result = IOConnectCallScalarMethod(connect_, ABORT, &endpoint, 1, NULL, NULL);
  printf("abort it: %s; ", told(result));
  printf("%s\n", finish());
}

/* An output of 4096 bytes or less goes back in the reply of the call: the dext has no memory of the client's to fill
 * later. */
static void small_read(void) {
  static uint8_t buffer[4096];
  memset(buffer, 0xee, sizeof buffer);
  size_t size = sizeof buffer;
  kern_return_t result = begin_read(buffer, &size);
  if (result != KERN_SUCCESS) {
    printf("small read: %s\n", told(result));
    return;
  }
  device(SEND, 1000);
  const char *finished = finish();
  unsigned zeros = 0;
  for (size_t i = 0; i < sizeof buffer; i++) zeros += buffer[i] == 0;
  printf("small read: %s; %s; %u of 4096 bytes are zero\n", outcome(result, NULL, 0, size), finished, zeros);
}

int main(void) {
  connect_ = open_dext("UsbBulk");
  port = IONotificationPortCreate(kIOMainPortDefault);
  CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
  writes();
  stall();
  reads();
  abort_read();
  small_read();
  printf("close: %s\n", told(IOServiceClose(connect_)));
  IONotificationPortDestroy(port);
  return 0;
}
