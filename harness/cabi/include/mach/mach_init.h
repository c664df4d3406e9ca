/* The task itself. */
#ifndef DEXTAPE_MACH_MACH_INIT_H
#define DEXTAPE_MACH_MACH_INIT_H

#include <mach/mach_types.h>

#ifdef __cplusplus
extern "C" {
#endif
extern mach_port_t mach_task_self_;
extern mach_port_t bootstrap_port;
extern vm_size_t vm_page_size;
extern vm_size_t vm_page_mask;
extern int vm_page_shift;
extern vm_size_t vm_kernel_page_size;
mach_port_t mach_host_self(void);
mach_port_t mach_reply_port(void);
mach_port_t(mach_task_self)(void);
#ifdef __cplusplus
}
#endif

#define mach_task_self() mach_task_self_
#define current_task() mach_task_self()

#endif
