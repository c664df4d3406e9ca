/* Sets. */
#ifndef DEXTAPE_COREFOUNDATION_CFSET_H
#define DEXTAPE_COREFOUNDATION_CFSET_H

#include <CoreFoundation/CFBase.h>

typedef struct {
  CFIndex version;
  const void *functions[6];
} CFSetCallBacks;

CF_EXTERN_C_BEGIN
extern const CFSetCallBacks kCFTypeSetCallBacks;
CFTypeID CFSetGetTypeID(void);
CFSetRef CFSetCreate(CFAllocatorRef allocator, const void **values, CFIndex count, const CFSetCallBacks *callbacks);
CFMutableSetRef CFSetCreateMutable(CFAllocatorRef allocator, CFIndex capacity, const CFSetCallBacks *callbacks);
void CFSetAddValue(CFMutableSetRef set, const void *value);
Boolean CFSetContainsValue(CFSetRef set, const void *value);
CFIndex CFSetGetCount(CFSetRef set);
void CFSetGetValues(CFSetRef set, const void **values);
CF_EXTERN_C_END

#endif
