/* For sources that ask for this name. */
#ifndef DEXTAPE_DRIVERKIT_IOTYPES_H
#define DEXTAPE_DRIVERKIT_IOTYPES_H

#include <DriverKit/IOLib.h>

#endif
