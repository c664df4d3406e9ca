/* For sources that ask for this name. */
#ifndef DEXTAPE_DRIVERKIT_IODISPATCHSOURCE_H
#define DEXTAPE_DRIVERKIT_IODISPATCHSOURCE_H

#include <DriverKit/IODispatchQueue.h>

#endif
