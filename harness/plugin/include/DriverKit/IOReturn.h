/* For sources that ask for this name. */
#ifndef DEXTAPE_DRIVERKIT_IORETURN_H
#define DEXTAPE_DRIVERKIT_IORETURN_H

#include <IOKit/IOReturn.h>
#include <mach/kern_return.h>

#endif
