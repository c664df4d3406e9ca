/* For sources that ask for this name. */
#ifndef DEXTAPE_DRIVERKIT_IOUSERSERVER_H
#define DEXTAPE_DRIVERKIT_IOUSERSERVER_H

#include <DriverKit/IOService.h>

#endif
