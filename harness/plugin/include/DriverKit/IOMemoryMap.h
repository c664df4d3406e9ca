/* IOMemoryMap: memory of a descriptor, mapped into the dext. */
#ifndef DEXTAPE_DRIVERKIT_IOMEMORYMAP_H
#define DEXTAPE_DRIVERKIT_IOMEMORYMAP_H

#include <DriverKit/OSObject.h>

class IOMemoryMap : public OSObject {
 public:
  static constexpr uint32_t kDextapeKind = DEXTAPE_MAP;

  /* 0 where no pointer can reach the memory, as for registers of a mock device. */
  uint64_t GetAddress() const { return range(0); }
  uint64_t GetLength() const { return range(1); }
  uint64_t GetOffset() const { return range(2); }

 private:
  uint64_t range(int which) const {
    uint64_t values[3] = {0, 0, 0};
    dextape::host->map_range(dextape::handle(this), &values[0], &values[1], &values[2]);
    return values[which];
  }
};

#endif
