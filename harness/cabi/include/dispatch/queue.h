/* See dispatch.h. */
#include <dispatch/dispatch.h>
