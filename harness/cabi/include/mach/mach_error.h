/* Errors as text. */
#ifndef DEXTAPE_MACH_MACH_ERROR_H
#define DEXTAPE_MACH_MACH_ERROR_H

#include <mach/error.h>

#ifdef __cplusplus
extern "C" {
#endif
char *mach_error_string(mach_error_t error);
void mach_error(const char *what, mach_error_t error);
#ifdef __cplusplus
}
#endif

#endif
