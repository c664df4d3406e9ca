/* Types of the kernel's library. */
#ifndef DEXTAPE_LIBKERN_OSTYPES_H
#define DEXTAPE_LIBKERN_OSTYPES_H

#include <MacTypes.h>

typedef unsigned int UInt;
typedef signed int SInt;

#endif
