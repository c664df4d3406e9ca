/* See IOTypes.h. */
#include <IOKit/IOTypes.h>
