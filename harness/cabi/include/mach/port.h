/* Names of ports, and rights. */
#ifndef DEXTAPE_MACH_PORT_H
#define DEXTAPE_MACH_PORT_H

#include <mach/boolean.h>
#include <stdint.h>

typedef unsigned int natural_t;
typedef int integer_t;
typedef natural_t mach_port_name_t;
typedef mach_port_name_t *mach_port_name_array_t;
typedef natural_t mach_port_t;
typedef mach_port_t *mach_port_array_t;
typedef natural_t mach_port_right_t;
typedef natural_t mach_port_type_t;
typedef natural_t mach_port_urefs_t;
typedef integer_t mach_port_delta_t;
typedef natural_t mach_port_seqno_t;
typedef natural_t mach_port_mscount_t;
typedef natural_t mach_port_msgcount_t;
typedef int mach_port_flavor_t;
typedef integer_t *mach_port_info_t;
typedef uint64_t mach_port_context_t;

#define MACH_PORT_NULL 0
#define MACH_PORT_DEAD ((mach_port_name_t)~0)
#define MACH_PORT_VALID(name) (((name) != MACH_PORT_NULL) && ((name) != MACH_PORT_DEAD))

#define MACH_PORT_RIGHT_SEND ((mach_port_right_t)0)
#define MACH_PORT_RIGHT_RECEIVE ((mach_port_right_t)1)
#define MACH_PORT_RIGHT_SEND_ONCE ((mach_port_right_t)2)
#define MACH_PORT_RIGHT_PORT_SET ((mach_port_right_t)3)
#define MACH_PORT_RIGHT_DEAD_NAME ((mach_port_right_t)4)

#define MACH_PORT_LIMITS_INFO 1
#define MACH_PORT_QLIMIT_BASIC 5
#define MACH_PORT_QLIMIT_SMALL 16
#define MACH_PORT_QLIMIT_LARGE 1024
#define MACH_PORT_QLIMIT_KERNEL 65534
#define MACH_PORT_QLIMIT_MAX MACH_PORT_QLIMIT_LARGE

typedef struct mach_port_limits {
  mach_port_msgcount_t mpl_qlimit;
} mach_port_limits_t;
#define MACH_PORT_LIMITS_INFO_COUNT ((mach_msg_type_number_t)(sizeof(mach_port_limits_t) / sizeof(natural_t)))

#endif
