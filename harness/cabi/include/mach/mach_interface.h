/* See mach.h. */
#include <mach/mach.h>
