/* What a Mac's string.h has besides. */
#include_next <string.h>

#ifndef DEXTAPE_STRING_H
#define DEXTAPE_STRING_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
size_t strlcpy(char *to, const char *from, size_t size);
size_t strlcat(char *to, const char *from, size_t size);
char *strnstr(const char *in, const char *what, size_t size);
#ifdef __cplusplus
}
#endif

#endif
