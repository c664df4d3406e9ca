/* What a Mac's sys/cdefs.h has besides. */
#include_next <sys/cdefs.h>

#ifndef DEXTAPE_SYS_CDEFS_H
#define DEXTAPE_SYS_CDEFS_H

#ifndef __offsetof
#define __offsetof(type, field) __builtin_offsetof(type, field)
#endif
#ifndef __dead2
#define __dead2 __attribute__((__noreturn__))
#endif
#ifndef __printflike
#define __printflike(format, first) __attribute__((__format__(__printf__, format, first)))
#endif
#ifndef __deprecated
#define __deprecated
#endif
#ifndef __packed
#define __packed __attribute__((__packed__))
#endif
#ifndef __clang__
#ifndef _Nullable
#define _Nullable
#define _Nonnull
#define _Null_unspecified
#endif
#endif
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#ifndef __has_extension
#define __has_extension(extension) 0
#endif

#endif
