/* Limits. */
#ifndef DEXTAPE_SYS_SYSLIMITS_H
#define DEXTAPE_SYS_SYSLIMITS_H

#include <limits.h>

#ifndef PATH_MAX
#define PATH_MAX 1024
#endif
#ifndef NAME_MAX
#define NAME_MAX 255
#endif

#endif
