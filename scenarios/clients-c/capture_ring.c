/* The client of the scenario capture-ring in C: copies records out of a ring in shared memory as the run loop tells of
 * them. Its argument says how: right or slow. */
#include "client.h"
#include <stdbool.h>

enum { START, STOP, LISTEN };
enum { RING = 1 };
enum { RECORDS, ENDED, BUS_RESET };
enum { MAGIC = 0x44544352, VERSION = 1, RECORD = 480, HEADER = 192 };
/* From one packet to the next, and packets of which the client is told at once. */
enum { INTERVAL_US = 1000, BATCH = 4, BUSY_AFTER = 2 };

/* Its header. All of it is the driver's but the read index. */
typedef struct {
  uint32_t magic;
  uint16_t version, pad0;
  uint32_t capacity, record_bytes, data_offset, state, packets, pad1[2], overruns, pad2[6];
  uint32_t write_index, pad3;
  uint32_t clock_sequence, pad4;
  uint64_t clock_packet, clock_time;
  uint32_t pad5[8];
  uint32_t read_index, pad6[15];
} Header;

typedef struct {
  uint64_t packet, time;
} ZeroTimestamp;

static io_connect_t connect_;
static volatile Header *ring;
static bool overwrites, is_slow, over, clock_seen;
static uint32_t capacity, read_index, expected, captured, batches;
static ZeroTimestamp first_clock;

/* Number and time belong together only between two equal and even sequences. */
static bool read_clock(ZeroTimestamp *clock) {
  for (int tries = 0; tries < 100; tries++) {
    uint32_t before = __atomic_load_n(&ring->clock_sequence, __ATOMIC_ACQUIRE);
    clock->packet = ring->clock_packet;
    clock->time = ring->clock_time;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (before == ring->clock_sequence && before % 2 == 0) return before > 0;
  }
  return false;
}

static bool is_record(const uint8_t *bytes, uint32_t number) {
  for (size_t i = sizeof number; i < RECORD; i++)
    if (bytes[i] != number % 251) return false;
  return true;
}

/* Takes what there is. */
static void drain(void) {
  uint32_t count = __atomic_load_n(&ring->write_index, __ATOMIC_ACQUIRE) - read_index, first = 0, last = 0;
  if (overwrites ? count >= capacity : count > capacity) {
    /* The oldest are gone, and the one after them may just be written. */
    uint32_t gone = count - capacity + 1;
    printf("overrun: %u records are gone\n", gone);
    read_index += gone;
    count -= gone;
  }
  for (uint32_t step = 0; step < count; step++) {
    uint8_t bytes[RECORD];
    uint32_t number;
    memcpy(bytes, (const uint8_t *)(uintptr_t)ring + HEADER + (read_index + step) % capacity * RECORD, RECORD);
    memcpy(&number, bytes, sizeof number);
    if (!is_record(bytes, number)) printf("record %u is torn\n", number);
    if (number != expected) printf("expected record %u, found %u\n", expected, number);
    expected = number + 1;
    if (step == 0) first = number;
    last = number;
    captured++;
  }
  read_index += count;
  __atomic_exchange_n(&ring->read_index, read_index, __ATOMIC_SEQ_CST);
  if (count > 0) printf("records %u to %u\n", first, last);
}

/* Does something else while so many packets come, until halfway between two of them. */
static void be_busy(uint32_t packets) {
  rest_us(INTERVAL_US * packets + INTERVAL_US / 2);
}

static void told_of_records(void *context, IOReturn status, void *write_index, void *why) {
  (void)context, (void)write_index;
  if (status != kIOReturnSuccess) printf("told: %s\n", told(status));
  drain();
  switch ((uintptr_t)why) {
  case RECORDS: break;
  case BUS_RESET: printf("the bus was reset\n"); /* and there is nothing more */ over = true; return;
  case ENDED: over = true; return;
  default: printf("told for an unknown reason: %llu\n", (unsigned long long)(uintptr_t)why);
  }
  if (!clock_seen) clock_seen = read_clock(&first_clock);
  if (++batches == BUSY_AFTER && is_slow) be_busy(capacity + BATCH);
}

/* Whether the ring is what this client knows. */
static bool describe(mach_vm_size_t size) {
  uint32_t offset = ring->data_offset, record = ring->record_bytes;
  capacity = ring->capacity;
  printf("ring: %u records of %u bytes from %u on\n", capacity, record, offset);
  if (ring->magic == MAGIC && ring->version == VERSION && record == RECORD && offset == HEADER && capacity > 0 &&
      HEADER + (uint64_t)RECORD * capacity <= size)
    return true;
  printf("this is no ring of version %d\n", VERSION);
  return false;
}

static const char *plain(uint32_t selector) {
  return told(IOConnectCallScalarMethod(connect_, selector, NULL, 0, NULL, NULL));
}

static void sum_up(void) {
  ZeroTimestamp last;
  printf("captured %u of %u packets; the driver counts %u overruns\n", captured, ring->packets, ring->overruns);
  if (!clock_seen || !read_clock(&last) || last.time <= first_clock.time) return;
  uint64_t packets = last.packet - first_clock.packet, time = last.time - first_clock.time;
  printf("clock: %llu packets at %llu a second\n", (unsigned long long)packets,
         (unsigned long long)(packets * 1000000000 / time));
}

int main(int argc, char **argv) {
  mach_vm_address_t address = 0;
  mach_vm_size_t size = 0;
  for (int i = 1; i < argc; i++) {
    is_slow |= strcmp(argv[i], "slow") == 0;
    overwrites |= strcmp(argv[i], "overwrite") == 0;
  }
  connect_ = open_dext("CaptureRing");
  IONotificationPortRef port = IONotificationPortCreate(kIOMainPortDefault);
  CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port), kCFRunLoopDefaultMode);
  need(IOConnectMapMemory64(connect_, RING, mach_task_self(), &address, &size, kIOMapAnywhere), "map the ring");
  ring = (volatile Header *)(uintptr_t)address;
  if (describe(size)) {
    uint64_t reference[kOSAsyncRef64Count] = {0};
    reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)told_of_records;
    printf("listen: %s\n", told(IOConnectCallAsyncScalarMethod(connect_, LISTEN, IONotificationPortGetMachPort(port), reference,
                                                               kIOAsyncCalloutCount, NULL, 0, NULL, NULL)));
    printf("start: %s\n", plain(START));
    printf("start again: %s\n", plain(START));
    while (!over)
      if (CFRunLoopRunInMode(kCFRunLoopDefaultMode, slower(), true) != kCFRunLoopRunHandledSource) {
        printf("nothing for 1 s\n");
        break;
      }
    sum_up();
    printf("stop: %s\n", plain(STOP));
    printf("unmap the ring: %s\n", told(IOConnectUnmapMemory64(connect_, RING, mach_task_self(), address)));
  }
  printf("close: %s\n", told(IOServiceClose(connect_)));
  IONotificationPortDestroy(port);
  return 0;
}
