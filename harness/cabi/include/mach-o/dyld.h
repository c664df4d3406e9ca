/* Where the program is. */
#ifndef DEXTAPE_MACH_O_DYLD_H
#define DEXTAPE_MACH_O_DYLD_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
int _NSGetExecutablePath(char *path, uint32_t *size);
#ifdef __cplusplus
}
#endif

#endif
