/* For sources that ask for this name. */
#ifndef DEXTAPE_DRIVERKIT_IOKITKEYS_H
#define DEXTAPE_DRIVERKIT_IOKITKEYS_H

#include <DriverKit/IOLib.h>

#endif
