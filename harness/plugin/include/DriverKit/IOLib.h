/* Memory and time of a dext. */
#ifndef DEXTAPE_DRIVERKIT_IOLIB_H
#define DEXTAPE_DRIVERKIT_IOLIB_H

#include <DriverKit/OSObject.h>
#include <os/log.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

inline void *IOMalloc(size_t length) { return malloc(length); }
inline void *IOMallocZero(size_t length) { return calloc(1, length); }
inline void IOFree(void *address, size_t length) {
  (void)length;
  free(address);
}

#define IONew(type, count) (static_cast<type *>(IOMalloc(sizeof(type) * (count))))
#define IONewZero(type, count) (static_cast<type *>(IOMallocZero(sizeof(type) * (count))))
#define IODelete(pointer, type, count) IOFree(pointer, sizeof(type) * (count))
#define IOSafeDeleteNULL(pointer, type, count)  \
  do {                                          \
    if ((pointer) != nullptr) {                 \
      IOFree(pointer, sizeof(type) * (count));  \
      (pointer) = nullptr;                      \
    }                                           \
  } while (0)

inline void IOSleep(uint64_t milliseconds) { dextape::host->sleep(milliseconds * 1000000); }
inline void IODelay(uint64_t microseconds) { dextape::host->sleep(microseconds * 1000); }

/* The schedule's time, in nanoseconds: a timebase of 1 to 1. */
inline uint64_t mach_absolute_time() { return dextape::host->uptime(); }
inline uint64_t mach_continuous_time() { return dextape::host->uptime(); }
inline uint64_t clock_gettime_nsec_np(clockid_t clock) {
  (void)clock;
  return dextape::host->uptime();
}
#ifndef CLOCK_UPTIME_RAW
#define CLOCK_UPTIME_RAW CLOCK_MONOTONIC_RAW
#endif

#endif
