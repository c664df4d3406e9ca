/* Byte order. */
#ifndef DEXTAPE_LIBKERN_OSBYTEORDER_H
#define DEXTAPE_LIBKERN_OSBYTEORDER_H

#include <stdint.h>
#include <string.h>

#define OSSwapInt16(x) __builtin_bswap16(x)
#define OSSwapInt32(x) __builtin_bswap32(x)
#define OSSwapInt64(x) __builtin_bswap64(x)
#define OSSwapConstInt16(x) __builtin_bswap16(x)
#define OSSwapConstInt32(x) __builtin_bswap32(x)
#define OSSwapConstInt64(x) __builtin_bswap64(x)
#define OSSwapHostToBigInt16(x) __builtin_bswap16(x)
#define OSSwapHostToBigInt32(x) __builtin_bswap32(x)
#define OSSwapHostToBigInt64(x) __builtin_bswap64(x)
#define OSSwapBigToHostInt16(x) __builtin_bswap16(x)
#define OSSwapBigToHostInt32(x) __builtin_bswap32(x)
#define OSSwapBigToHostInt64(x) __builtin_bswap64(x)
#define OSSwapHostToLittleInt16(x) ((uint16_t)(x))
#define OSSwapHostToLittleInt32(x) ((uint32_t)(x))
#define OSSwapHostToLittleInt64(x) ((uint64_t)(x))
#define OSSwapLittleToHostInt16(x) ((uint16_t)(x))
#define OSSwapLittleToHostInt32(x) ((uint32_t)(x))
#define OSSwapLittleToHostInt64(x) ((uint64_t)(x))

static inline uint16_t OSReadLittleInt16(const volatile void *base, uintptr_t offset) {
  uint16_t value;
  memcpy(&value, (const char *)(uintptr_t)base + offset, sizeof value);
  return value;
}
static inline uint32_t OSReadLittleInt32(const volatile void *base, uintptr_t offset) {
  uint32_t value;
  memcpy(&value, (const char *)(uintptr_t)base + offset, sizeof value);
  return value;
}
static inline uint64_t OSReadLittleInt64(const volatile void *base, uintptr_t offset) {
  uint64_t value;
  memcpy(&value, (const char *)(uintptr_t)base + offset, sizeof value);
  return value;
}
static inline uint16_t OSReadBigInt16(const volatile void *base, uintptr_t offset) {
  return __builtin_bswap16(OSReadLittleInt16(base, offset));
}
static inline uint32_t OSReadBigInt32(const volatile void *base, uintptr_t offset) {
  return __builtin_bswap32(OSReadLittleInt32(base, offset));
}
static inline uint64_t OSReadBigInt64(const volatile void *base, uintptr_t offset) {
  return __builtin_bswap64(OSReadLittleInt64(base, offset));
}
static inline void OSWriteLittleInt16(volatile void *base, uintptr_t offset, uint16_t value) {
  memcpy((char *)(uintptr_t)base + offset, &value, sizeof value);
}
static inline void OSWriteLittleInt32(volatile void *base, uintptr_t offset, uint32_t value) {
  memcpy((char *)(uintptr_t)base + offset, &value, sizeof value);
}
static inline void OSWriteLittleInt64(volatile void *base, uintptr_t offset, uint64_t value) {
  memcpy((char *)(uintptr_t)base + offset, &value, sizeof value);
}

#endif
