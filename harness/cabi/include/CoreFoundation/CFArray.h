/* Lists. */
#ifndef DEXTAPE_COREFOUNDATION_CFARRAY_H
#define DEXTAPE_COREFOUNDATION_CFARRAY_H

#include <CoreFoundation/CFBase.h>

typedef struct {
  CFIndex version;
  const void *functions[6];
} CFArrayCallBacks;

CF_EXTERN_C_BEGIN
extern const CFArrayCallBacks kCFTypeArrayCallBacks;
CFTypeID CFArrayGetTypeID(void);
CFArrayRef CFArrayCreate(CFAllocatorRef allocator, const void **values, CFIndex count, const CFArrayCallBacks *callbacks);
CFArrayRef CFArrayCreateCopy(CFAllocatorRef allocator, CFArrayRef array);
CFMutableArrayRef CFArrayCreateMutable(CFAllocatorRef allocator, CFIndex capacity, const CFArrayCallBacks *callbacks);
void CFArrayAppendValue(CFMutableArrayRef array, const void *value);
void CFArrayInsertValueAtIndex(CFMutableArrayRef array, CFIndex index, const void *value);
void CFArrayRemoveValueAtIndex(CFMutableArrayRef array, CFIndex index);
void CFArrayRemoveAllValues(CFMutableArrayRef array);
CFIndex CFArrayGetCount(CFArrayRef array);
const void *CFArrayGetValueAtIndex(CFArrayRef array, CFIndex index);
Boolean CFArrayContainsValue(CFArrayRef array, CFRange range, const void *value);
CF_EXTERN_C_END

#endif
