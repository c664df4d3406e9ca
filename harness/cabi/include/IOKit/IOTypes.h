/* Types of IOKit. */
#ifndef DEXTAPE_IOKIT_IOTYPES_H
#define DEXTAPE_IOKIT_IOTYPES_H

#include <IOKit/IOReturn.h>
#include <MacTypes.h>
#include <device/device_types.h>
#include <libkern/OSTypes.h>
#include <mach/mach_types.h>
#include <stddef.h>
#include <stdint.h>

typedef UInt32 IOOptionBits;
typedef SInt32 IOFixed;
typedef UInt32 IOVersion;
typedef UInt32 IOItemCount;
typedef UInt32 IOCacheMode;
typedef UInt32 IOByteCount32;
typedef UInt64 IOByteCount64;
typedef UInt32 IOPhysicalAddress32;
typedef UInt64 IOPhysicalAddress64;
typedef vm_address_t IOVirtualAddress;
typedef IOVirtualAddress IOLogicalAddress;
typedef unsigned long IOByteCount;
typedef IOPhysicalAddress64 IOPhysicalAddress;
typedef UInt32 IOAlignment;
typedef UInt32 IOSelect;
typedef UInt32 IOIndex;
typedef UInt32 IODeviceNumber;

typedef mach_port_t io_object_t;
typedef io_object_t io_connect_t;
typedef io_object_t io_enumerator_t;
typedef io_object_t io_ident_t;
typedef io_object_t io_iterator_t;
typedef io_object_t io_registry_entry_t;
typedef io_object_t io_service_t;
typedef io_object_t uext_object_t;
#define IO_OBJECT_NULL ((io_object_t)0)

enum {
  kIODefaultMemoryType = 0
};

enum {
  kIODefaultCache = 0,
  kIOInhibitCache = 1,
  kIOWriteThruCache = 2,
  kIOCopybackCache = 3,
  kIOWriteCombineCache = 4,
  kIOCopybackInnerCache = 5
};

enum {
  kIOMapAnywhere = 0x00000001,
  kIOMapCacheMask = 0x00000f00,
  kIOMapCacheShift = 8,
  kIOMapDefaultCache = 0x00000000,
  kIOMapInhibitCache = 0x00000100,
  kIOMapWriteThruCache = 0x00000200,
  kIOMapCopybackCache = 0x00000300,
  kIOMapWriteCombineCache = 0x00000400,
  kIOMapUserOptionsMask = 0x00000fff,
  kIOMapReadOnly = 0x00001000,
  kIOMapStatic = 0x01000000,
  kIOMapReference = 0x02000000,
  kIOMapUnique = 0x04000000,
  kIOMapPrefault = 0x10000000,
  kIOMapOverwrite = 0x20000000
};

enum {
  kNanosecondScale = 1,
  kMicrosecondScale = 1000,
  kMillisecondScale = 1000 * 1000,
  kSecondScale = 1000 * 1000 * 1000
};

#define kIOConnectMethodVarOutputSize (-3)

#endif
