/* The oldest names of types. */
#ifndef DEXTAPE_MACTYPES_H
#define DEXTAPE_MACTYPES_H

#include <stdint.h>

typedef unsigned char UInt8;
typedef signed char SInt8;
typedef unsigned short UInt16;
typedef signed short SInt16;
typedef unsigned int UInt32;
typedef signed int SInt32;
typedef unsigned long long UInt64;
typedef signed long long SInt64;
typedef unsigned char Boolean;
typedef float Float32;
typedef double Float64;
typedef SInt32 OSStatus;
typedef SInt16 OSErr;
typedef UInt32 OSType;
typedef UInt32 FourCharCode;
typedef UInt32 OptionBits;
typedef UInt32 ByteCount;
typedef UInt32 ItemCount;
typedef char *Ptr;
typedef UInt16 UniChar;
typedef UInt32 UTF32Char;
typedef UInt8 Byte;

#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif
enum { noErr = 0 };

#endif
