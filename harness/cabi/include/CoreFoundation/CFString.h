/* Text. */
#ifndef DEXTAPE_COREFOUNDATION_CFSTRING_H
#define DEXTAPE_COREFOUNDATION_CFSTRING_H

#include <CoreFoundation/CFBase.h>

typedef UInt32 CFStringEncoding;
typedef CFOptionFlags CFStringCompareFlags;
enum {
  kCFStringEncodingMacRoman = 0,
  kCFStringEncodingWindowsLatin1 = 0x0500,
  kCFStringEncodingISOLatin1 = 0x0201,
  kCFStringEncodingASCII = 0x0600,
  kCFStringEncodingUTF8 = 0x08000100,
  kCFStringEncodingUnicode = 0x0100,
  kCFStringEncodingUTF16 = 0x0100,
  kCFStringEncodingUTF16LE = 0x14000100
};
enum { kCFCompareCaseInsensitive = 1 };

#define CFSTR(text) ((CFStringRef)__CFStringMakeConstantString("" text ""))

CF_EXTERN_C_BEGIN
CFStringRef __CFStringMakeConstantString(const char *text);
CFTypeID CFStringGetTypeID(void);
CFStringRef CFStringCreateWithCString(CFAllocatorRef allocator, const char *text, CFStringEncoding encoding);
CFStringRef CFStringCreateWithCStringNoCopy(CFAllocatorRef allocator, const char *text, CFStringEncoding encoding, CFAllocatorRef deallocator);
CFStringRef CFStringCreateWithBytes(CFAllocatorRef allocator, const UInt8 *bytes, CFIndex count, CFStringEncoding encoding, Boolean external);
CFStringRef CFStringCreateWithCharacters(CFAllocatorRef allocator, const UniChar *characters, CFIndex count);
CFStringRef CFStringCreateCopy(CFAllocatorRef allocator, CFStringRef string);
CFStringRef CFStringCreateWithSubstring(CFAllocatorRef allocator, CFStringRef string, CFRange range);
CFMutableStringRef CFStringCreateMutable(CFAllocatorRef allocator, CFIndex capacity);
CFMutableStringRef CFStringCreateMutableCopy(CFAllocatorRef allocator, CFIndex capacity, CFStringRef string);
void CFStringAppend(CFMutableStringRef string, CFStringRef more);
void CFStringAppendCString(CFMutableStringRef string, const char *more, CFStringEncoding encoding);
CFIndex CFStringGetLength(CFStringRef string);
UniChar CFStringGetCharacterAtIndex(CFStringRef string, CFIndex index);
void CFStringGetCharacters(CFStringRef string, CFRange range, UniChar *to);
Boolean CFStringGetCString(CFStringRef string, char *to, CFIndex room, CFStringEncoding encoding);
const char *CFStringGetCStringPtr(CFStringRef string, CFStringEncoding encoding);
CFIndex CFStringGetBytes(CFStringRef string, CFRange range, CFStringEncoding encoding, UInt8 loss, Boolean external, UInt8 *to, CFIndex room, CFIndex *used);
CFIndex CFStringGetMaximumSizeForEncoding(CFIndex length, CFStringEncoding encoding);
CFComparisonResult CFStringCompare(CFStringRef a, CFStringRef b, CFStringCompareFlags options);
Boolean CFStringHasPrefix(CFStringRef string, CFStringRef prefix);
Boolean CFStringHasSuffix(CFStringRef string, CFStringRef suffix);
SInt32 CFStringGetIntValue(CFStringRef string);
CF_EXTERN_C_END

/* The formats of printf; objects (%@) are not written. */
__attribute__((__unused__)) static CFStringRef CFStringCreateWithFormat(CFAllocatorRef allocator, CFDictionaryRef options, CFStringRef format, ...) {
  char text[4096];
  const char *plain = CFStringGetCStringPtr(format, kCFStringEncodingUTF8);
  va_list arguments;
  (void)options;
  va_start(arguments, format);
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wformat-nonliteral"
#endif
  vsnprintf(text, sizeof text, plain ? plain : "", arguments);
#if defined(__clang__)
#pragma clang diagnostic pop
#endif
  va_end(arguments);
  return CFStringCreateWithCString(allocator, text, kCFStringEncodingUTF8);
}

#endif
