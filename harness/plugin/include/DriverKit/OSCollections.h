/* For sources that ask for this name. */
#ifndef DEXTAPE_DRIVERKIT_OSCOLLECTIONS_H
#define DEXTAPE_DRIVERKIT_OSCOLLECTIONS_H

#include <DriverKit/OSData.h>

#endif
