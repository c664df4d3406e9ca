/* See vm_map.h. */
#include <mach/vm_map.h>
