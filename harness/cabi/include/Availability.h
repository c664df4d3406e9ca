/* Availability attributes: nothing is unavailable here. */
#ifndef DEXTAPE_AVAILABILITY_H
#define DEXTAPE_AVAILABILITY_H

#include <AvailabilityVersions.h>

#ifndef __MAC_OS_X_VERSION_MIN_REQUIRED
#define __MAC_OS_X_VERSION_MIN_REQUIRED 130000
#endif
#ifndef __MAC_OS_X_VERSION_MAX_ALLOWED
#define __MAC_OS_X_VERSION_MAX_ALLOWED 150000
#endif
#define __OSX_AVAILABLE_STARTING(mac, ios)
#define __OSX_AVAILABLE_BUT_DEPRECATED(a, b, c, d)
#define __OSX_AVAILABLE_BUT_DEPRECATED_MSG(a, b, c, d, e)
#define __OSX_AVAILABLE(version)
#define __OSX_DEPRECATED(a, b, message)
#define __IOS_AVAILABLE(version)
#define __TVOS_AVAILABLE(version)
#define __WATCHOS_AVAILABLE(version)
#define __IOS_PROHIBITED
#define __API_AVAILABLE(...)
#define __API_DEPRECATED(...)
#define __API_DEPRECATED_WITH_REPLACEMENT(...)
#define __API_UNAVAILABLE(...)
#define API_AVAILABLE(...)
#define API_DEPRECATED(...)
#define API_DEPRECATED_WITH_REPLACEMENT(...)
#define API_UNAVAILABLE(...)
#define SPI_AVAILABLE(...)

#endif
