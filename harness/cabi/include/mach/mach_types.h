/* Types of the kernel's objects, as clients name them. */
#ifndef DEXTAPE_MACH_MACH_TYPES_H
#define DEXTAPE_MACH_MACH_TYPES_H

#include <mach/message.h>
#include <mach/port.h>
#include <mach/vm_types.h>

typedef mach_port_t task_t;
typedef mach_port_t task_name_t;
typedef mach_port_t thread_t;
typedef mach_port_t host_t;
typedef mach_port_t ipc_space_t;
typedef mach_port_t semaphore_t;
typedef mach_port_t clock_serv_t;
typedef mach_port_t task_port_t;

typedef unsigned int clock_res_t;
struct mach_timespec {
  unsigned int tv_sec;
  clock_res_t tv_nsec;
};
typedef struct mach_timespec mach_timespec_t;

#endif
