/* What the clients of the scenarios have in common: how they find their dext, and how they print what they got. */
#ifndef DEXTAPE_CLIENT_H
#define DEXTAPE_CLIENT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <IOKit/IOReturn.h>
#include <mach/mach.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNUSED_IS_FINE __attribute__((__unused__)) static

/* A result by its name and number; `ok` for success. Eight of them are good at once in each thread. */
UNUSED_IS_FINE const char *told(kern_return_t result) {
  static const struct {
    kern_return_t code;
    const char *name;
  } names[] = {
#define NAME(code) {(kern_return_t)(code), #code}
      NAME(kIOReturnError),        NAME(kIOReturnNoMemory),   NAME(kIOReturnNoResources), NAME(kIOReturnNoDevice),
      NAME(kIOReturnBadArgument),  NAME(kIOReturnUnsupported), NAME(kIOReturnVMError),    NAME(kIOReturnInternalError),
      NAME(kIOReturnIOError),      NAME(kIOReturnNotOpen),    NAME(kIOReturnNotReadable), NAME(kIOReturnNotWritable),
      NAME(kIOReturnDMAError),     NAME(kIOReturnBusy),       NAME(kIOReturnTimeout),     NAME(kIOReturnOffline),
      NAME(kIOReturnNotReady),     NAME(kIOReturnNoFrames),   NAME(kIOReturnNotPermitted), NAME(kIOReturnUnderrun),
      NAME(kIOReturnOverrun),      NAME(kIOReturnDeviceError), NAME(kIOReturnNoCompletion), NAME(kIOReturnAborted),
      NAME(kIOReturnNotResponding), NAME(kIOReturnNotFound),  NAME(MACH_SEND_INVALID_DEST), NAME(kIOReturnExclusiveAccess),
      NAME(kIOReturnNoSpace),      NAME(kIOReturnCannotLock), NAME(kIOReturnNotAttached), NAME(kIOReturnNoInterrupt),
#undef NAME
  };
  static __thread char texts[8][64];
  static __thread unsigned next;
  if (result == KERN_SUCCESS) return "ok";
  char *text = texts[next++ % 8];
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (names[i].code == result) {
      snprintf(text, sizeof texts[0], "%s (0x%08x)", names[i].name, (unsigned)result);
      return text;
    }
  if (((unsigned)result & 0xffffc000) == (unsigned)(sys_iokit | sub_iokit_usb))
    snprintf(text, sizeof texts[0], "sub_iokit_usb+0x%x (0x%08x)", (unsigned)result & 0x3fff, (unsigned)result);
  else
    snprintf(text, sizeof texts[0], "0x%08x", (unsigned)result);
  return text;
}

/* As `told`, with the scalars and the size of the structure that came back with a success. */
UNUSED_IS_FINE const char *outcome(kern_return_t result, const uint64_t *scalars, uint32_t count, size_t size) {
  static __thread char texts[4][256];
  static __thread unsigned next;
  if (result != KERN_SUCCESS) return told(result);
  char *text = texts[next++ % 4];
  size_t at = (size_t)snprintf(text, sizeof texts[0], "ok%s", count > 0 ? ", scalars" : "");
  for (uint32_t i = 0; i < count && at < sizeof texts[0]; i++)
    at += (size_t)snprintf(text + at, sizeof texts[0] - at, " %llu", (unsigned long long)scalars[i]);
  if (size > 0 && at < sizeof texts[0]) snprintf(text + at, sizeof texts[0] - at, ", %zu bytes", size);
  return text;
}

/* Ends the client where it cannot go on. */
UNUSED_IS_FINE void need(kern_return_t result, const char *what) {
  if (result == KERN_SUCCESS) return;
  fprintf(stderr, "failed to %s: %s\n", what, told(result));
  exit(1);
}

/* Opens the first dext of a class. */
UNUSED_IS_FINE kern_return_t try_open_dext(const char *user_class, io_connect_t *connect) {
  CFMutableDictionaryRef properties =
      CFDictionaryCreateMutable(kCFAllocatorDefault, 0, &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
  CFMutableDictionaryRef matching =
      CFDictionaryCreateMutable(kCFAllocatorDefault, 0, &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
  CFStringRef name = CFStringCreateWithCString(kCFAllocatorDefault, user_class, kCFStringEncodingUTF8);
  CFDictionarySetValue(properties, CFSTR(kIOUserClassKey), name);
  CFDictionarySetValue(matching, CFSTR(kIOPropertyMatchKey), properties);
  CFRelease(name);
  CFRelease(properties);
  io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, matching);
  *connect = IO_OBJECT_NULL;
  if (service == IO_OBJECT_NULL) return kIOReturnNotFound;
  kern_return_t opened = IOServiceOpen(service, mach_task_self(), 0, connect);
  IOObjectRelease(service);
  return opened;
}

UNUSED_IS_FINE io_connect_t open_dext(const char *user_class) {
  io_connect_t connect;
  need(try_open_dext(user_class, &connect), user_class);
  return connect;
}

UNUSED_IS_FINE void pause_ms(unsigned milliseconds) { usleep(milliseconds * 1000); }

/* How many times slower the mock is than it might be: a client that has a pace of its own keeps to that. */
UNUSED_IS_FINE unsigned slower(void) {
  const char *text = getenv("DEXTAPE_SLOWER");
  return text && atoi(text) > 0 ? (unsigned)atoi(text) : 1;
}

/* Does nothing while so many microseconds of the mock's pass. */
UNUSED_IS_FINE void rest_us(unsigned microseconds) { usleep(microseconds * slower()); }

/* Whether touching memory faults, as it does where it may not be written or is no longer mapped. */
static sigjmp_buf after_fault;
UNUSED_IS_FINE void on_fault(int number) {
  (void)number;
  siglongjmp(after_fault, 1);
}
UNUSED_IS_FINE int faults(volatile uint32_t *word, int writes, uint32_t *value) {
  struct sigaction action, segv, bus;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_fault;
  sigaction(SIGSEGV, &action, &segv);
  sigaction(SIGBUS, &action, &bus);
  int faulted = sigsetjmp(after_fault, 1);
  if (!faulted) {
    if (writes) *word = *value;
    else *value = *word;
  }
  sigaction(SIGSEGV, &segv, NULL);
  sigaction(SIGBUS, &bus, NULL);
  return faulted;
}

#endif
