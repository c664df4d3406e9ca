/* IOBufferMemoryDescriptor: memory that the dext makes. */
#ifndef DEXTAPE_DRIVERKIT_IOBUFFERMEMORYDESCRIPTOR_H
#define DEXTAPE_DRIVERKIT_IOBUFFERMEMORYDESCRIPTOR_H

#include <DriverKit/IOMemoryDescriptor.h>

class IOBufferMemoryDescriptor : public IOMemoryDescriptor {
 public:
  static constexpr uint32_t kDextapeKind = DEXTAPE_BUFFER;

  static kern_return_t Create(uint64_t options, uint64_t capacity, uint64_t alignment,
                              IOBufferMemoryDescriptor **buffer) {
    return dextape::make(buffer, [&](dextape_handle *out) {
      return dextape::host->buffer_create(options, capacity, alignment, out);
    });
  }
  kern_return_t GetAddressRange(IOAddressSegment *range) const {
    return dextape::host->buffer_address_range(dextape::handle(this), &range->address, &range->length);
  }
  kern_return_t SetLength(uint64_t length) {
    return dextape::host->buffer_set_length(dextape::handle(this), length);
  }
};

#endif
