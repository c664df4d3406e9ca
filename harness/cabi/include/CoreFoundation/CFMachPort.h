/* Ports on the run loop. */
#ifndef DEXTAPE_COREFOUNDATION_CFMACHPORT_H
#define DEXTAPE_COREFOUNDATION_CFMACHPORT_H

#include <CoreFoundation/CFRunLoop.h>
#include <mach/port.h>

typedef struct __CFMachPort *CFMachPortRef;
typedef struct {
  CFIndex version;
  void *info;
  const void *(*retain)(const void *info);
  void (*release)(const void *info);
  CFStringRef (*copyDescription)(const void *info);
} CFMachPortContext;
typedef void (*CFMachPortCallBack)(CFMachPortRef port, void *msg, CFIndex size, void *info);

CF_EXTERN_C_BEGIN
CFTypeID CFMachPortGetTypeID(void);
CFMachPortRef CFMachPortCreate(CFAllocatorRef allocator, CFMachPortCallBack callout, CFMachPortContext *context, Boolean *shouldFreeInfo);
CFMachPortRef CFMachPortCreateWithPort(CFAllocatorRef allocator, mach_port_t portNum, CFMachPortCallBack callout, CFMachPortContext *context,
                                       Boolean *shouldFreeInfo);
mach_port_t CFMachPortGetPort(CFMachPortRef port);
void CFMachPortInvalidate(CFMachPortRef port);
Boolean CFMachPortIsValid(CFMachPortRef port);
CFRunLoopSourceRef CFMachPortCreateRunLoopSource(CFAllocatorRef allocator, CFMachPortRef port, CFIndex order);
CF_EXTERN_C_END

#endif
