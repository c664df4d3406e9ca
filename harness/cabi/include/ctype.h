/* What a Mac's ctype.h has besides. */
#include_next <ctype.h>

#ifndef DEXTAPE_CTYPE_H
#define DEXTAPE_CTYPE_H

#ifdef __cplusplus
extern "C" {
#endif
int digittoint(int character);
int isnumber(int character);
int ishexnumber(int character);
#ifdef __cplusplus
}
#endif

#endif
