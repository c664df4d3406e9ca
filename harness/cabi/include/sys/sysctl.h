/* What clients ask of the machine. */
#ifndef DEXTAPE_SYS_SYSCTL_H
#define DEXTAPE_SYS_SYSCTL_H

#include <stddef.h>
#include <sys/types.h>

#define CTL_KERN 1
#define CTL_HW 6
#define KERN_OSTYPE 1
#define KERN_OSRELEASE 2
#define KERN_OSVERSION 65
#define HW_MACHINE 1
#define HW_MODEL 2
#define HW_NCPU 3
#define HW_PAGESIZE 7
#define HW_MEMSIZE 24

#ifdef __cplusplus
extern "C" {
#endif
int sysctl(int *name, unsigned int count, void *old, size_t *old_size, void *value, size_t size);
int sysctlbyname(const char *name, void *old, size_t *old_size, void *value, size_t size);
#ifdef __cplusplus
}
#endif

#endif
