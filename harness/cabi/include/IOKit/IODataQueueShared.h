/* A queue in shared memory: what both sides see. */
#ifndef DEXTAPE_IOKIT_IODATAQUEUESHARED_H
#define DEXTAPE_IOKIT_IODATAQUEUESHARED_H

#include <MacTypes.h>
#include <mach/message.h>
#include <mach/port.h>

typedef struct _IODataQueueEntry {
  UInt32 size;
  UInt8 data[4];
} IODataQueueEntry;

typedef struct _IODataQueueMemory {
  UInt32 queueSize;
  volatile UInt32 head;
  volatile UInt32 tail;
  IODataQueueEntry queue[1];
} IODataQueueMemory;

typedef struct _IODataQueueAppendix {
  UInt32 version;
  mach_msg_header_t msgh;
} IODataQueueAppendix;

#define DATA_QUEUE_ENTRY_HEADER_SIZE (sizeof(IODataQueueEntry) - 4)
#define DATA_QUEUE_MEMORY_HEADER_SIZE (sizeof(IODataQueueMemory) - sizeof(IODataQueueEntry))
#define DATA_QUEUE_MEMORY_APPENDIX_SIZE (sizeof(IODataQueueAppendix))

#endif
