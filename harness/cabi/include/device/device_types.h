/* What passes to and from a device, by the names that clients use beside IOKit's own. */
#ifndef DEXTAPE_DEVICE_DEVICE_TYPES_H
#define DEXTAPE_DEVICE_DEVICE_TYPES_H

#include <mach/mach_types.h>
#include <stdint.h>

typedef char io_name_t[128];
typedef char io_string_t[512];
typedef char io_string_inband_t[4096];
typedef char io_struct_inband_t[4096];
typedef char *io_buf_ptr_t;
typedef uint64_t io_user_scalar_t;
typedef uint64_t io_user_reference_t;
typedef int io_scalar_inband_t[16];
typedef uint64_t io_scalar_inband64_t[16];
typedef natural_t io_async_ref_t[8];
typedef io_user_reference_t io_async_ref64_t[8];

#endif
