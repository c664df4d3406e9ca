/* Byte order. */
#ifndef DEXTAPE_COREFOUNDATION_CFBYTEORDER_H
#define DEXTAPE_COREFOUNDATION_CFBYTEORDER_H

#include <CoreFoundation/CFBase.h>

#define CFSwapInt16(x) __builtin_bswap16(x)
#define CFSwapInt32(x) __builtin_bswap32(x)
#define CFSwapInt64(x) __builtin_bswap64(x)
#define CFSwapInt16HostToBig(x) __builtin_bswap16(x)
#define CFSwapInt32HostToBig(x) __builtin_bswap32(x)
#define CFSwapInt64HostToBig(x) __builtin_bswap64(x)
#define CFSwapInt16BigToHost(x) __builtin_bswap16(x)
#define CFSwapInt32BigToHost(x) __builtin_bswap32(x)
#define CFSwapInt64BigToHost(x) __builtin_bswap64(x)
#define CFSwapInt16HostToLittle(x) ((uint16_t)(x))
#define CFSwapInt32HostToLittle(x) ((uint32_t)(x))
#define CFSwapInt64HostToLittle(x) ((uint64_t)(x))
#define CFSwapInt16LittleToHost(x) ((uint16_t)(x))
#define CFSwapInt32LittleToHost(x) ((uint32_t)(x))
#define CFSwapInt64LittleToHost(x) ((uint64_t)(x))

#endif
