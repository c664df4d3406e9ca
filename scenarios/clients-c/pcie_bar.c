/* The client of the scenario pcie-bar in C: a server that drives a device from user space. Its registers and the memory
 * that the device reaches are touched by the functions of dextape/memory.h, which on a Mac are plain accesses. */
#include "client.h"
#include <dextape/memory.h>

enum { READ_CONFIG, WRITE_CONFIG, RESET, PREPARE_DMA };
enum { BAR_REGISTERS = 0, BAR_VIDEO = 2 };
enum { IDENTITY = 0x00, EVENTS = 0x04, FAULTS = 0x08, DOORBELL = 0x0c, ADDRESS = 0x10, LENGTH = 0x18, RESULT = 0x20 };
enum { FILL = 1, SUM, HANG };
enum { DONE = 1 };
/* Of the configuration space: the command register, and its bits for memory space and mastering. */
enum { COMMAND = 0x04, ENABLED = 0x06 };

static const uint32_t THE_IDENTITY = 0x172000a1, NO_RESULT = 0xdeadbeef;

static io_connect_t connect_;
static volatile uint8_t *registers, *video;

/* Memory of the client's that the device reaches, as large as it may be. */
static struct {
  uint8_t bytes[0x4000];
} host __attribute__((__aligned__(16384)));

/* Ends the program without a close, as one whose callback calls `exit`, where the device is gone. */
static IONotificationPortRef port;
static io_iterator_t terminations;
static int terminated;

static void gone(void *context, io_iterator_t iterator) {
  io_object_t service;
  (void)context;
  while ((service = IOIteratorNext(iterator)) != IO_OBJECT_NULL) {
    terminated = 1;
    IOObjectRelease(service);
    CFRunLoopStop(CFRunLoopGetCurrent());
  }
}

static void watch(void) {
  port = IONotificationPortCreate(kIOMainPortDefault);
  CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
  CFMutableDictionaryRef matching =
      CFDictionaryCreateMutable(kCFAllocatorDefault, 0, &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
  CFMutableDictionaryRef properties =
      CFDictionaryCreateMutable(kCFAllocatorDefault, 0, &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
  CFDictionarySetValue(properties, CFSTR(kIOUserClassKey), CFSTR("PcieBar"));
  CFDictionarySetValue(matching, CFSTR(kIOPropertyMatchKey), properties);
  CFRelease(properties);
  need(IOServiceAddMatchingNotification(port, kIOTerminatedNotification, matching, gone, NULL, &terminations),
       "watch PcieBar");
  gone(NULL, terminations);
}

static void leave(void) {
  CFRunLoopRunInMode(kCFRunLoopDefaultMode, 0.1 * slower(), 0);
  printf("the device reads all ones\n%s: exit\n", terminated ? "terminated" : "nobody says so");
  exit(0);
}

static kern_return_t read_config(uint64_t offset, uint64_t size, uint64_t *value) {
  uint64_t in[2];
  uint32_t count = 1;
  in[0] = offset, in[1] = size;
  return IOConnectCallScalarMethod(connect_, READ_CONFIG, in, 2, value, &count);
}

static uint64_t config(uint64_t offset, uint64_t size) {
  uint64_t value = 0;
  need(read_config(offset, size, &value), "read the configuration");
  return value;
}

static void write_config(uint64_t offset, uint64_t size, uint64_t value) {
  uint64_t in[3];
  in[0] = offset, in[1] = size, in[2] = value;
  need(IOConnectCallScalarMethod(connect_, WRITE_CONFIG, in, 3, NULL, NULL), "write the configuration");
}

static void configuration(void) {
  uint64_t identity = config(0, 4), class_ = config(8, 4) >> 8, command = config(COMMAND, 2);
  printf("device %08llx, class %06llx, command 0x%04llx\n", (unsigned long long)identity, (unsigned long long)class_,
         (unsigned long long)command);
  /* How large a BAR is: the bits of the address that cannot be set. */
  uint64_t before = config(0x10, 4);
  write_config(0x10, 4, UINT32_MAX);
  uint32_t mask = (uint32_t)config(0x10, 4) & ~(uint32_t)0xf;
  write_config(0x10, 4, before);
  printf("BAR 0 by its mask: %llu bytes\n", (unsigned long long)~mask + 1);
  uint64_t value = 0;
  printf("three bytes: %s\n", told(read_config(0, 3, &value)));
}

static kern_return_t try_map(uint32_t type, mach_vm_address_t *address, mach_vm_size_t *size) {
  *address = 0, *size = 0;
  return IOConnectMapMemory64(connect_, type, mach_task_self(), address, size, kIOMapAnywhere);
}

static volatile uint8_t *map(uint32_t type) {
  mach_vm_address_t address;
  mach_vm_size_t size;
  need(try_map(type, &address, &size), "map a BAR");
  printf("map BAR %u: %llu bytes\n", type, (unsigned long long)size);
  return (volatile uint8_t *)(uintptr_t)address;
}

static void aliases(void) {
  static const uint32_t none[] = {1, 5, 6};
  printf("  at %s address\n", map(BAR_REGISTERS) == registers ? "the same" : "another");
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
    mach_vm_address_t address;
    mach_vm_size_t size;
    printf("map BAR %u: %s\n", none[i], told(try_map(none[i], &address, &size)));
  }
}

/* Memory of the device, copied in bulk as a program moves textures. */
static void textures(void) {
  uint8_t bytes[3000], back[3000];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i % 199);
  dextape_copy_to(video + 0x1003, bytes, sizeof bytes);
  dextape_copy_from(back, video + 0x1003, sizeof back);
  printf("video memory: %s\n", memcmp(bytes, back, sizeof bytes) == 0 ? "kept" : "other bytes");
}

static void identity(void) {
  uint32_t found = dextape_load32(registers + IDENTITY);
  if (found == UINT32_MAX) leave();
  printf("identity %08x%s\n", found, found == THE_IDENTITY ? "" : ", which is unknown");
}

/* Makes the client's memory reachable: gives its bus address. */
static uint64_t prepare(void) {
  uint8_t small[64];
  size_t size = sizeof small;
  printf("prepare 64 bytes: %s\n", told(IOConnectCallStructMethod(connect_, PREPARE_DMA, NULL, 0, small, &size)));
  /* The device reaches it until the connection is closed. */
  dextape_share(host.bytes, sizeof host.bytes);
  size = sizeof host.bytes;
  kern_return_t prepared = IOConnectCallStructMethod(connect_, PREPARE_DMA, NULL, 0, host.bytes, &size);
  printf("prepare %zu bytes: %s\n", sizeof host.bytes, outcome(prepared, NULL, 0, size));
  need(prepared, "prepare memory for the device");
  uint64_t segment[2], first = 0, bytes = 0;
  unsigned count = 0;
  for (size_t at = 0; at < sizeof host.bytes; at += sizeof segment, count++) {
    memcpy(segment, host.bytes + at, sizeof segment);
    if (segment[1] == 0) break;
    if (count == 0) first = segment[0];
    bytes += segment[1];
  }
  printf("  %u segment of %llu bytes\n", count, (unsigned long long)bytes);
  return first;
}

/* Rings the doorbell and looks at the events until the command is done. */
static int command(uint32_t which, uint64_t address, uint32_t length) {
  dextape_store64(registers + ADDRESS, address);
  dextape_store32(registers + LENGTH, length);
  dextape_store32(registers + DOORBELL, which);
  for (unsigned looks = 0; looks < 100; looks++) {
    uint32_t events = dextape_load32(registers + EVENTS);
    if (events == UINT32_MAX) leave();
    if (events & DONE) return 1;
    rest_us(5 * 1000);
  }
  return 0;
}

static void fill(uint64_t address) {
  int done = command(FILL, address, sizeof host.bytes);
  printf("fill: done %s, events then %u\n", done ? "true" : "false", dextape_load32(registers + EVENTS));
  size_t arrived = 0;
  while (arrived < sizeof host.bytes && host.bytes[arrived] == (uint8_t)(arrived % 241 + 1)) arrived++;
  printf("  %zu bytes arrived\n", arrived);
}

static void sum(uint64_t address) {
  uint32_t expected = 0;
  memset(host.bytes + 100, 200, 300);
  for (size_t i = 0; i < 5000; i++) expected += host.bytes[i];
  command(SUM, address, 5000);
  uint32_t found = dextape_load32(registers + RESULT), count = dextape_load32(registers + RESULT);
  uint32_t rest = dextape_load32(registers + RESULT);
  printf("sum of %u bytes: %s, then %s\n", count, found == expected ? "right" : "wrong",
         rest == NO_RESULT ? "nothing" : "more");
}

/* A command that reaches over the end of what is prepared. */
static void beyond(uint64_t address) {
  command(SUM, address + sizeof host.bytes - 1024, 4096);
  uint32_t faults_ = dextape_load32(registers + FAULTS), first;
  dextape_store32(registers + FAULTS, faults_);
  uint32_t cleared = dextape_load32(registers + FAULTS);
  /* The sum first, by a copy of one word, then the count. */
  dextape_copy_from(&first, registers + RESULT, sizeof first);
  printf("beyond the end: faults 0x%x, cleared 0x%x, %u bytes read\n", faults_, cleared, dextape_load32(registers + RESULT));
}

static void reset(void) {
  printf("reset: %s\n", told(IOConnectCallScalarMethod(connect_, RESET, NULL, 0, NULL, NULL)));
  /* Memory space is off: nobody answers. */
  int silent = dextape_load32(registers + IDENTITY) == UINT32_MAX;
  uint64_t now = config(COMMAND, 2);
  printf("  command 0x%04llx, registers silent: %s\n", (unsigned long long)now, silent ? "true" : "false");
  write_config(COMMAND, 2, now | ENABLED);
  identity();
}

static void unmap(const char *what, uint32_t type, volatile uint8_t *address) {
  printf("unmap the %s: %s\n", what,
         told(IOConnectUnmapMemory64(connect_, type, mach_task_self(), (mach_vm_address_t)(uintptr_t)address)));
}

int main(void) {
  watch();
  connect_ = open_dext("PcieBar");
  configuration();
  registers = map(BAR_REGISTERS);
  video = map(BAR_VIDEO);
  aliases();
  textures();
  identity();
  uint64_t address = prepare();
  fill(address);
  sum(address);
  beyond(address);
  printf("hang: %s\n", command(HANG, 0, 0) ? "done" : "timed out");
  reset();
  unmap("registers", BAR_REGISTERS, registers);
  unmap("video", BAR_VIDEO, video);
  printf("close: %s\n", told(IOServiceClose(connect_)));
  IOObjectRelease(terminations);
  IONotificationPortDestroy(port);
  return 0;
}
