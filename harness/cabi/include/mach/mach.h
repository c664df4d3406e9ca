/* All of it. */
#ifndef DEXTAPE_MACH_MACH_H
#define DEXTAPE_MACH_MACH_H

#include <mach/boolean.h>
#include <mach/error.h>
#include <mach/kern_return.h>
#include <mach/mach_error.h>
#include <mach/mach_init.h>
#include <mach/mach_port.h>
#include <mach/mach_types.h>
#include <mach/message.h>
#include <mach/port.h>
#include <mach/vm_map.h>
#include <mach/vm_types.h>

#endif
