/* Memory that a device shares, for clients in C and C++.
 *
 * A pointer to device registers is no pointer to memory: a read may change what the next one gives. On a Mac the
 * processor carries each access to the device; a mock or a tape on Linux can only be asked by a function. A client
 * that reaches its registers by the functions below runs in both places; on a Mac they are plain volatile accesses.
 * libIOKit maps registers only for a program that was compiled with this header, and any other access to them faults.
 */
#ifndef DEXTAPE_MEMORY_H
#define DEXTAPE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__APPLE__)

#define DEXTAPE_ACCESS(bits)                                                                            \
  static inline uint##bits##_t dextape_load##bits(const volatile void *address) {                       \
    return *(const volatile uint##bits##_t *)address;                                                   \
  }                                                                                                     \
  static inline void dextape_store##bits(volatile void *address, uint##bits##_t value) {                \
    *(volatile uint##bits##_t *)address = value;                                                        \
  }
DEXTAPE_ACCESS(8)
DEXTAPE_ACCESS(16)
DEXTAPE_ACCESS(32)
DEXTAPE_ACCESS(64)
#undef DEXTAPE_ACCESS

static inline void dextape_copy_from(void *to, const volatile void *from, size_t size) {
  for (size_t i = 0; i < size; i++) ((unsigned char *)to)[i] = ((const volatile unsigned char *)from)[i];
}
static inline void dextape_copy_to(volatile void *to, const void *from, size_t size) {
  for (size_t i = 0; i < size; i++) ((volatile unsigned char *)to)[i] = ((const unsigned char *)from)[i];
}
static inline int dextape_share(void *address, size_t size) {
  (void)address, (void)size;
  return 0;
}

#else

/* Reads one word of 8, 16, 32 or 64 bits, aligned to its size, in the machine's byte order. */
uint8_t dextape_load8(const volatile void *address);
uint16_t dextape_load16(const volatile void *address);
uint32_t dextape_load32(const volatile void *address);
uint64_t dextape_load64(const volatile void *address);

/* Writes one word, in the same way. */
void dextape_store8(volatile void *address, uint8_t value);
void dextape_store16(volatile void *address, uint16_t value);
void dextape_store32(volatile void *address, uint32_t value);
void dextape_store64(volatile void *address, uint64_t value);

/* Copies bytes in ascending order: out of memory of a device, and into it. */
void dextape_copy_from(void *to, const volatile void *from, size_t size);
void dextape_copy_to(volatile void *to, const void *from, size_t size);

/* Says that a dext or its device uses these bytes of the client's also after the synchronous call that handed them
 * over has returned: a structure over 4096 bytes that begins there and is not longer. Both sides' changes are brought
 * to the other at calls, at completions and at the accesses above. Gives 0, or -1 for NULL or no bytes. */
int dextape_share(void *address, size_t size);

/* Called by what follows: this program reaches registers by functions. */
void dextape_has_accessors(void);

__attribute__((constructor)) static void dextape_says_so(void) { dextape_has_accessors(); }

#endif

#ifdef __cplusplus
}
#endif

#endif
