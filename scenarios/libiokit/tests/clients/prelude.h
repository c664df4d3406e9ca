#define _GNU_SOURCE
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOKitLib.h>
#include <IOKit/IOMessage.h>
#include <mach/mach.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* The first service of a class. */
__attribute__((__unused__)) static io_service_t find(const char *name) {
  return IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching(name));
}

/* The first dext of a class. */
__attribute__((__unused__)) static io_service_t find_dext(const char *name) {
  CFMutableDictionaryRef matching = IOServiceMatching("IOUserService");
  CFStringRef value = CFStringCreateWithCString(NULL, name, kCFStringEncodingUTF8);
  CFDictionarySetValue(matching, CFSTR("IOUserClass"), value);
  CFRelease(value);
  return IOServiceGetMatchingService(kIOMainPortDefault, matching);
}

/* A connection of a service, whose name is given back. */
__attribute__((__unused__)) static io_connect_t open_service(io_service_t service) {
  io_connect_t connect = 0;
  kern_return_t result = IOServiceOpen(service, mach_task_self(), 0, &connect);
  if (result != 0) printf("open: %x\n", (unsigned)result);
  IOObjectRelease(service);
  return connect;
}

static sigjmp_buf after_fault;
static volatile uintptr_t fault_address;
static void on_fault(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  fault_address = (uintptr_t)info->si_addr;
  siglongjmp(after_fault, 1);
}

/* Runs the statement: 1 where it faults. */
#define FAULTS(statement) \
  (sigsetjmp(after_fault, 1) == 0 ? (catch_faults(), (void)(statement), 0) : 1)
__attribute__((__unused__)) static void catch_faults(void) {
  struct sigaction action = {0};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
}
