/* Atomic operations, and the spin lock of old. */
#ifndef DEXTAPE_LIBKERN_OSATOMIC_H
#define DEXTAPE_LIBKERN_OSATOMIC_H

#include <stdbool.h>
#include <stdint.h>

typedef int32_t OSSpinLock;
#define OS_SPINLOCK_INIT 0

#ifdef __cplusplus
extern "C" {
#endif
void OSSpinLockLock(volatile OSSpinLock *lock);
bool OSSpinLockTry(volatile OSSpinLock *lock);
void OSSpinLockUnlock(volatile OSSpinLock *lock);
#ifdef __cplusplus
}
#endif

static inline void OSMemoryBarrier(void) { __sync_synchronize(); }
static inline int32_t OSAtomicAdd32(int32_t amount, volatile int32_t *value) { return __sync_add_and_fetch(value, amount); }
static inline int32_t OSAtomicAdd32Barrier(int32_t amount, volatile int32_t *value) { return __sync_add_and_fetch(value, amount); }
static inline int64_t OSAtomicAdd64(int64_t amount, volatile int64_t *value) { return __sync_add_and_fetch(value, amount); }
static inline int64_t OSAtomicAdd64Barrier(int64_t amount, volatile int64_t *value) { return __sync_add_and_fetch(value, amount); }
static inline int32_t OSAtomicIncrement32(volatile int32_t *value) { return __sync_add_and_fetch(value, 1); }
static inline int32_t OSAtomicIncrement32Barrier(volatile int32_t *value) { return __sync_add_and_fetch(value, 1); }
static inline int32_t OSAtomicDecrement32(volatile int32_t *value) { return __sync_sub_and_fetch(value, 1); }
static inline int32_t OSAtomicDecrement32Barrier(volatile int32_t *value) { return __sync_sub_and_fetch(value, 1); }
static inline int64_t OSAtomicIncrement64(volatile int64_t *value) { return __sync_add_and_fetch(value, 1); }
static inline int64_t OSAtomicDecrement64(volatile int64_t *value) { return __sync_sub_and_fetch(value, 1); }
static inline bool OSAtomicCompareAndSwap32(int32_t old, int32_t now, volatile int32_t *value) { return __sync_bool_compare_and_swap(value, old, now); }
static inline bool OSAtomicCompareAndSwap32Barrier(int32_t old, int32_t now, volatile int32_t *value) { return __sync_bool_compare_and_swap(value, old, now); }
static inline bool OSAtomicCompareAndSwap64(int64_t old, int64_t now, volatile int64_t *value) { return __sync_bool_compare_and_swap(value, old, now); }
static inline bool OSAtomicCompareAndSwap64Barrier(int64_t old, int64_t now, volatile int64_t *value) { return __sync_bool_compare_and_swap(value, old, now); }

#endif
