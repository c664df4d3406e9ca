/* OSData: immutable bytes. */
#ifndef DEXTAPE_DRIVERKIT_OSDATA_H
#define DEXTAPE_DRIVERKIT_OSDATA_H

#include <DriverKit/OSObject.h>

class OSData : public OSObject {
 public:
  static constexpr uint32_t kDextapeKind = DEXTAPE_DATA;

  static OSData *withBytes(const void *bytes, size_t length) {
    return dextape::object<OSData>(dextape::host->data_with_bytes(bytes, length));
  }
  static OSData *withData(const OSData *data) {
    return withBytes(data->getBytesNoCopy(), data->getLength());
  }

  size_t getLength() const {
    uint64_t length = 0;
    dextape::host->data_bytes(dextape::handle(this), &length);
    return length;
  }
  const void *getBytesNoCopy() const { return dextape::host->data_bytes(dextape::handle(this), nullptr); }
  const void *getBytesNoCopy(size_t start, size_t length) const {
    size_t all = getLength();
    if (start > all || length > all - start) return nullptr;
    return static_cast<const char *>(getBytesNoCopy()) + start;
  }
};

typedef OSData *OSDataPtr;

#endif
