/* A client that reads a property and hands it in again, and then ends as its argument says, or becomes another
 * program. It declares what it uses itself, so that the same source compiles for macOS and for the library that
 * stands for its IOKit. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef uint32_t name_t;
typedef int32_t kern_t;
typedef const void *cf_t;
typedef struct { long location, length; } range_t;
extern name_t mach_task_self_;
cf_t IOServiceMatching(const char *class_name);
name_t IOServiceGetMatchingService(name_t main_port, cf_t matching);
kern_t IOObjectRelease(name_t object);
cf_t IORegistryEntryCreateCFProperty(name_t entry, cf_t key, cf_t allocator, uint32_t options);
kern_t IOServiceOpen(name_t service, name_t task, uint32_t type, name_t *connect);
kern_t IOServiceClose(name_t connect);
kern_t IOConnectCallStructMethod(name_t, uint32_t, const void *, size_t, void *, size_t *);
cf_t CFStringCreateWithBytes(cf_t allocator, const uint8_t *bytes, long length, uint32_t encoding, unsigned char external);
long CFStringGetLength(cf_t string);
long CFStringGetBytes(cf_t string, range_t range, uint32_t encoding, uint8_t loss, unsigned char external, uint8_t *into,
                      long most, long *used);
void CFRelease(cf_t value);
enum { UTF8 = 0x08000100 };

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  /* The library behind the interposer reads these, too, and only one of them shall record here. */
  char *record = getenv("DEXTAPE_RECORD"), *redact = getenv("DEXTAPE_REDACT");
  record = record ? strdup(record) : NULL;
  redact = redact ? strdup(redact) : NULL;
  if (getenv("CLIENT_FORGETS_RECORD")) {
    unsetenv("DEXTAPE_RECORD");
    unsetenv("DEXTAPE_REDACT");
  }
  setvbuf(stdout, NULL, _IONBF, 0);

  name_t service = IOServiceGetMatchingService(0, IOServiceMatching("AppleSMC")), connection = 0;
  cf_t key = CFStringCreateWithBytes(NULL, (const uint8_t *)"HostSystem", 10, UTF8, 0);
  cf_t host = IORegistryEntryCreateCFProperty(service, key, NULL, 0);
  CFRelease(key);
  unsigned char text[128] = "none", in[80] = {0}, out[80];
  if (host) {
    long used = 0;
    CFStringGetBytes(host, (range_t){0, CFStringGetLength(host)}, UTF8, 0, 0, text, sizeof text - 1, &used);
    text[used] = 0;
    CFRelease(host);
  }
  kern_t opened = IOServiceOpen(service, mach_task_self_, 0, &connection);
  IOObjectRelease(service);
  /* Behind the other fields of the scenario's structure: what it writes to a key. */
  memcpy(in + 48, text, strlen((char *)text) < 32 ? strlen((char *)text) : 32);
  size_t size = sizeof out;
  kern_t called = IOConnectCallStructMethod(connection, 2, in, sizeof in, out, &size);
  printf("%s, %x %x\n", text, (unsigned)opened, (unsigned)called);

  if (strcmp(mode, "killed") == 0) raise(SIGKILL);
  if (record) setenv("DEXTAPE_RECORD", record, 1);
  if (redact) setenv("DEXTAPE_REDACT", redact, 1);
  char *again[] = {argv[0], NULL}, *plain[] = {"/bin/true", NULL};
  if (strcmp(mode, "exec") == 0) execv(again[0], again);
  if (strcmp(mode, "plain") == 0) execv(plain[0], plain);
  if (strcmp(mode, "child") == 0) {
    pid_t child = fork();
    if (child == 0) {
      execv(again[0], again);
      _exit(1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status) return 1;
  }
  return IOServiceClose(connection);
}
