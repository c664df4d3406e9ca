/* The client of the scenario smc in C: a key dumper that makes the calls of the one in Rust. Its arguments are the
 * keys that the service does not list. */
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <mach/mach_error.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  uint32_t key;
  struct {
    uint8_t parts[4];
    uint16_t release;
  } version;
  struct {
    uint16_t version, length;
    uint32_t limits[3];
  } limits;
  struct {
    uint32_t size, type;
    uint8_t attributes;
  } info;
  uint8_t result, status, data8;
  uint32_t data32;
  uint8_t bytes[32];
} Param;
typedef char param_is_80_bytes[sizeof(Param) == 80 ? 1 : -1];

enum { CALL = 2, READ_KEY = 5, KEY_FROM_INDEX = 8, KEY_INFO = 9 };

static io_connect_t connect_;

static uint32_t four(const char *name) {
  return (uint32_t)(uint8_t)name[0] << 24 | (uint32_t)(uint8_t)name[1] << 16 | (uint32_t)(uint8_t)name[2] << 8 | (uint8_t)name[3];
}

static kern_return_t ask(const Param *in, Param *out) {
  size_t size = sizeof *out;
  memset(out, 0, sizeof *out);
  return IOConnectCallStructMethod(connect_, CALL, in, sizeof *in, out, &size);
}

static void put(uint32_t four) {
  for (int shift = 24; shift >= 0; shift -= 8) putchar((int)(four >> shift & 0xff));
}

static void dump(uint32_t key) {
  Param in, out;
  memset(&in, 0, sizeof in);
  in.key = key;
  in.data8 = KEY_INFO;
  if (ask(&in, &out) != KERN_SUCCESS || out.result != 0) return;
  in.data8 = READ_KEY;
  in.info.size = out.info.size;
  putchar('[');
  put(key);
  printf("] type [");
  put(out.info.type);
  printf("] len [%2u] attr [%02x] ->", (unsigned)out.info.size, out.info.attributes);
  kern_return_t result = ask(&in, &out);
  if (result != KERN_SUCCESS) printf(" failed: %x", (unsigned)result);
  else if (out.result != 0) printf(" not readable: %02x", out.result);
  else
    for (uint32_t i = 0; i < in.info.size && i < sizeof out.bytes; i++) printf(" %02x", out.bytes[i]);
  printf("\n");
}

int main(int argc, char **argv) {
  io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("AppleSMC"));
  if (service == IO_OBJECT_NULL) {
    fprintf(stderr, "there is no AppleSMC\n");
    return 1;
  }
  CFStringRef host = (CFStringRef)IORegistryEntryCreateCFProperty(service, CFSTR("HostSystem"), kCFAllocatorDefault, 0);
  kern_return_t opened = IOServiceOpen(service, mach_task_self(), 0, &connect_);
  IOObjectRelease(service);
  if (host) {
    char text[128];
    if (CFStringGetCString(host, text, sizeof text, kCFStringEncodingUTF8)) printf("%s\n", text);
    CFRelease(host);
  }
  if (opened != KERN_SUCCESS) {
    fprintf(stderr, "failed to open AppleSMC: %s\n", mach_error_string(opened));
    return 1;
  }
  Param in, out;
  memset(&in, 0, sizeof in);
  in.key = four("#KEY");
  in.data8 = KEY_INFO;
  ask(&in, &out);
  in.data8 = READ_KEY;
  in.info = out.info;
  ask(&in, &out);
  uint32_t count = four((const char *)out.bytes);
  printf("Public keys (%u):\n", (unsigned)count);
  for (uint32_t i = 0; i < count && i < 65536; i++) {
    memset(&in, 0, sizeof in);
    in.data8 = KEY_FROM_INDEX;
    in.data32 = i;
    if (ask(&in, &out) == KERN_SUCCESS && out.result == 0) dump(out.key);
  }
  for (int i = 1; i < argc; i++)
    if (strlen(argv[i]) == 4) dump(four(argv[i]));
  printf("Close: %x\n", (unsigned)IOServiceClose(connect_));
  return 0;
}
