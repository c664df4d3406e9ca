/* The client of the scenario shared-buffer in C: the buffer by raw pointers, its counters by atomic operations. Its
 * argument is the delay in milliseconds. */
#include "client.h"

enum { CAPITALS, SET_FLAG_LATER, COUNT };
enum { BUFFER, STATUS };

/* The buffer as both sides see it. */
typedef struct {
  volatile uint32_t flag, bits;
  volatile uint64_t counter;
  volatile char text[112];
} Buffer;
typedef char buffer_is_128_bytes[sizeof(Buffer) == 128 ? 1 : -1];

typedef struct {
  volatile uint32_t served, last;
} Status;

static io_connect_t connect_;

static kern_return_t map(uint32_t type, mach_vm_address_t *address, mach_vm_size_t *size) {
  *address = 0, *size = 0;
  return IOConnectMapMemory64(connect_, type, mach_task_self(), address, size, kIOMapAnywhere);
}

static void print_text(const char *what, const Buffer *buffer) {
  printf("%s: \"", what);
  for (size_t i = 0; i < sizeof buffer->text && buffer->text[i] != 0; i++) putchar(buffer->text[i]);
  printf("\"\n");
}

static void text(Buffer *buffer) {
  static const char hello[] = "hello, dext";
  print_text("text before", buffer);
  for (size_t i = 0; i + 1 < sizeof hello; i++) buffer->text[i] = hello[i];
  uint64_t changed[1];
  uint32_t count = 1;
  kern_return_t result = IOConnectCallScalarMethod(connect_, CAPITALS, NULL, 0, changed, &count);
  printf("capitals: %s\n", outcome(result, changed, count, 0));
  print_text("text now", buffer);
}

static void poll_flag(Buffer *buffer, uint64_t delay) {
  buffer->flag = 0;
  printf("set the flag later: %s\n", told(IOConnectCallScalarMethod(connect_, SET_FLAG_LATER, &delay, 1, NULL, NULL)));
  for (int i = 0; i < 200; i++) {
    if (buffer->flag != 0) {
      printf("the flag is set\n");
      return;
    }
    pause_ms(10);
  }
  printf("the flag is not set after 200 looks\n");
}

static void count(Buffer *buffer) {
  uint64_t before = __atomic_fetch_add(&buffer->counter, 5, __ATOMIC_SEQ_CST);
  uint64_t add = 20, was[1];
  uint32_t asked = 1;
  kern_return_t result = IOConnectCallScalarMethod(connect_, COUNT, &add, 1, was, &asked);
  uint64_t after = __atomic_fetch_add(&buffer->counter, 1, __ATOMIC_SEQ_CST);
  printf("counter: %llu before, %llu after the dext's turn: %s\n", (unsigned long long)before, (unsigned long long)after,
         outcome(result, was, asked, 0));
  uint64_t swapped = __atomic_exchange_n(&buffer->counter, 1000, __ATOMIC_SEQ_CST);
  uint64_t kept = 1, exchanged = 1000;
  __atomic_compare_exchange_n(&buffer->counter, &kept, 2, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  if (!__atomic_compare_exchange_n(&buffer->counter, &exchanged, 7, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) printf("lost\n");
  printf("swap %llu, compare-exchange %llu and %llu, now %llu\n", (unsigned long long)swapped, (unsigned long long)kept,
         (unsigned long long)exchanged, (unsigned long long)buffer->counter);
  __atomic_fetch_or(&buffer->bits, 10, __ATOMIC_SEQ_CST);
  uint32_t bits = __atomic_fetch_and(&buffer->bits, 6, __ATOMIC_SEQ_CST), left = buffer->bits;
  printf("bits %u%u%u%u, then %u%u%u%u\n", bits >> 3 & 1, bits >> 2 & 1, bits >> 1 & 1, bits & 1, left >> 3 & 1,
         left >> 2 & 1, left >> 1 & 1, left & 1);
}

static void bounds(mach_vm_address_t address, mach_vm_size_t size) {
  volatile uint64_t *last = (volatile uint64_t *)(uintptr_t)(address + size - 8);
  *last = 9;
  printf("last word: %llu\n", (unsigned long long)*last);
  /* What a processor may do with such a word is its own affair: a careful client does not ask. */
  uint64_t place = 18;
  if (place % sizeof(uint32_t) != 0)
    printf("unaligned word: access a word of 4 bytes at offset 0x%llx: not a multiple of its width\n", (unsigned long long)place);
  *last = 0;
}

static void read_only(void) {
  mach_vm_address_t address;
  mach_vm_size_t size;
  kern_return_t result = map(STATUS, &address, &size);
  if (result != KERN_SUCCESS) {
    printf("map the status: %s\n", told(result));
    return;
  }
  printf("map the status: %llu bytes\n", (unsigned long long)size);
  Status *status = (Status *)(uintptr_t)address;
  printf("  %u methods served, the last was %u\n", status->served, status->last);
  uint32_t nothing = 0;
  printf("  write to it: %s\n", faults(&status->served, 1, &nothing) ? "write at offset 0x0: the memory is read-only" : "done");
  printf("unmap the status: %s\n", told(IOConnectUnmapMemory64(connect_, STATUS, mach_task_self(), address)));
}

int main(int argc, char **argv) {
  connect_ = open_dext("SharedBuffer");
  mach_vm_address_t address, again;
  mach_vm_size_t size, again_size;
  need(map(BUFFER, &address, &size), "map the buffer");
  printf("map the buffer: %llu bytes\n", (unsigned long long)size);
  Buffer *buffer = (Buffer *)(uintptr_t)address;
  text(buffer);
  poll_flag(buffer, argc > 1 ? strtoull(argv[1], NULL, 0) : 35);
  count(buffer);
  bounds(address, size);

  kern_return_t result = map(BUFFER, &again, &again_size);
  if (result == KERN_SUCCESS) {
    printf("map it again: %s\n", again == address ? "the same mapping" : "another one");
    print_text("  its text", (Buffer *)(uintptr_t)again);
  } else {
    printf("map it again: %s\n", told(result));
  }
  read_only();
  result = map(7, &again, &again_size);
  if (result == KERN_SUCCESS) printf("map an unknown type: %llu bytes\n", (unsigned long long)again_size);
  else printf("map an unknown type: %s\n", told(result));
  printf("unmap an unknown type: %s\n", told(IOConnectUnmapMemory64(connect_, 7, mach_task_self(), 0)));
  printf("unmap the buffer: %s\n", told(IOConnectUnmapMemory64(connect_, BUFFER, mach_task_self(), address)));
  printf("unmap it again: %s\n", told(IOConnectUnmapMemory64(connect_, BUFFER, mach_task_self(), address)));
  uint32_t flag;
  if (faults(&buffer->flag, 0, &flag)) printf("the mapping is gone: access offset 0x0: the memory is no longer mapped\n");
  else printf("the mapping is still there: flag %u\n", flag);
  printf("close: %s\n", told(IOServiceClose(connect_)));
  if (faults(&buffer->flag, 0, &flag)) printf("after it: access offset 0x0: the memory is no longer mapped\n");
  else printf("the mapping outlived it: flag %u\n", flag);
  return 0;
}
