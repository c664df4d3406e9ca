/* IOMemoryDescriptor: memory, without saying where it is mapped. */
#ifndef DEXTAPE_DRIVERKIT_IOMEMORYDESCRIPTOR_H
#define DEXTAPE_DRIVERKIT_IOMEMORYDESCRIPTOR_H

#include <DriverKit/IOMemoryMap.h>

enum {
  kIOMemoryDirectionNone = 0,
  kIOMemoryDirectionIn = 1,
  kIOMemoryDirectionOut = 2,
  kIOMemoryDirectionInOut = 3,
  kIOMemoryDirectionOutIn = kIOMemoryDirectionInOut
};

enum {
  kIOMemoryMapFixedAddress = 0x00000001,
  kIOMemoryMapReadOnly = 0x00000002,
  kIOMemoryMapCacheModeDefault = 0x00000000,
  kIOMemoryMapCacheModeInhibit = 0x00000100,
  kIOMemoryMapCacheModeCopyback = 0x00000200,
  kIOMemoryMapCacheModeWriteThrough = 0x00000400
};

struct IOAddressSegment {
  uint64_t address;
  uint64_t length;
};

class IOMemoryDescriptor : public OSObject {
 public:
  static constexpr uint32_t kDextapeKind = DEXTAPE_DESCRIPTOR;

  kern_return_t GetLength(uint64_t *length) const {
    return dextape::host->descriptor_length(dextape::handle(this), length);
  }
  kern_return_t CreateMapping(uint64_t options, uint64_t address, uint64_t offset, uint64_t length,
                              uint64_t alignment, IOMemoryMap **map) {
    return dextape::make(map, [&](dextape_handle *out) {
      return dextape::host->descriptor_map(dextape::handle(this), options, address, offset, length,
                                           alignment, out);
    });
  }
  /* A mapping that lasts as long as the descriptor. */
  kern_return_t Map(uint64_t options, uint64_t address, uint64_t length, uint64_t alignment,
                    uint64_t *mapped, uint64_t *mappedLength) {
    IOMemoryMap *map = nullptr;
    kern_return_t made = CreateMapping(options, address, 0, length, alignment, &map);
    if (made != kIOReturnSuccess) return made;
    *mapped = map->GetAddress();
    *mappedLength = map->GetLength();
    // The memory is the descriptor's, and stays where it is.
    map->release();
    return kIOReturnSuccess;
  }
  static kern_return_t CreateSubMemoryDescriptor(uint64_t options, uint64_t offset, uint64_t length,
                                                 IOMemoryDescriptor *of, IOMemoryDescriptor **memory) {
    return dextape::make(memory, [&](dextape_handle *out) {
      return dextape::host->descriptor_sub(dextape::handle(of), options, offset, length, out);
    });
  }
};

#endif
