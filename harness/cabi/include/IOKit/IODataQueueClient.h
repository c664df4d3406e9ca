/* A queue in shared memory: the client's side. */
#ifndef DEXTAPE_IOKIT_IODATAQUEUECLIENT_H
#define DEXTAPE_IOKIT_IODATAQUEUECLIENT_H

#include <IOKit/IODataQueueShared.h>
#include <IOKit/IOReturn.h>
#include <mach/boolean.h>

#ifdef __cplusplus
extern "C" {
#endif
boolean_t IODataQueueDataAvailable(IODataQueueMemory *queue);
IODataQueueEntry *IODataQueuePeek(IODataQueueMemory *queue);
IOReturn IODataQueueDequeue(IODataQueueMemory *queue, void *data, uint32_t *size);
IOReturn IODataQueueEnqueue(IODataQueueMemory *queue, void *data, uint32_t size);
IOReturn IODataQueueWaitForAvailableData(IODataQueueMemory *queue, mach_port_t port);
mach_port_t IODataQueueAllocateNotificationPort(void);
IOReturn IODataQueueSetNotificationPort(IODataQueueMemory *queue, mach_port_t port);
#ifdef __cplusplus
}
#endif

#endif
