/* The client of the scenario irq-page in C: waits for interrupts in every order, and has a thread handle them, with a loop
 * around mach_msg. */
#include "client.h"
#include <pthread.h>
#include <stdarg.h>

enum { WRITE_REGISTER = 12, SETUP_INTERRUPTS, CHECK_INTERRUPT, WAIT_INTERRUPT, SET_IRQ_MASK };
enum { IRQ_PAGE = 7, WORDS = 4 };

/* Both sides change its words with atomic operations only. */
typedef struct {
  uint64_t pending[WORDS], enabled[WORDS];
} Page;

static io_connect_t connect_;
static IONotificationPortRef port;
static Page *page;

/* What was completed last; each thread takes its own. */
static __thread struct {
  IOReturn status;
  uint64_t number, vectors;
} told_of;

/* An aborted wait is completed without arguments, and the function is then called without the last two. */
static void interrupted(void *context, IOReturn status, void **arguments, uint32_t count) {
  told_of.status = status, told_of.number = (uintptr_t)context;
  told_of.vectors = status == kIOReturnSuccess && count > 0 ? (uintptr_t)arguments[0] : 0;
}

/* A text that is printed when its time has come. */
typedef struct {
  char text[2048];
  size_t length;
} Text;

static void put(Text *text, const char *format, ...) {
  va_list list;
  va_start(list, format);
  text->length += (size_t)vsnprintf(text->text + text->length, sizeof text->text - text->length, format, list);
  va_end(list);
}

static const char *bits(uint64_t vectors) {
  static __thread char texts[2][32];
  static __thread unsigned next;
  char *text = texts[next++ % 2];
  snprintf(text, sizeof texts[0], vectors ? "0x%02llx" : "none", (unsigned long long)vectors);
  return text;
}

static kern_return_t set_up(uint64_t *vectors, uint32_t *count) {
  *count = 1;
  return IOConnectCallScalarMethod(connect_, SETUP_INTERRUPTS, NULL, 0, vectors, count);
}

/* Waits for an interrupt; the number comes back with the completion. */
static kern_return_t arm(uint64_t number) {
  uint64_t reference[kOSAsyncRef64Count] = {0};
  reference[kIOAsyncCalloutFuncIndex] = (uint64_t)(uintptr_t)interrupted;
  reference[kIOAsyncCalloutRefconIndex] = number;
  return IOConnectCallAsyncScalarMethod(connect_, WAIT_INTERRUPT, IONotificationPortGetMachPort(port), reference,
                                        kIOAsyncCalloutCount, NULL, 0, NULL, NULL);
}

/* Takes a completion that comes within so many milliseconds of the mock's. */
static int taken(unsigned milliseconds) {
  struct {
    mach_msg_header_t header;
    char room[512];
  } message;
  if (mach_msg(&message.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof message, IONotificationPortGetMachPort(port),
               milliseconds * slower(), MACH_PORT_NULL) != MACH_MSG_SUCCESS)
    return 0;
  IODispatchCalloutFromMessage(NULL, &message.header, port);
  return 1;
}

static const char *completion(int came) {
  static __thread char text[96];
  if (!came) return "no completion";
  if (told_of.status == kIOReturnSuccess)
    snprintf(text, sizeof text, "wait %u completes with %s", (unsigned)told_of.number, bits(told_of.vectors));
  else
    snprintf(text, sizeof text, "wait %u completes: %s", (unsigned)told_of.number, told(told_of.status));
  return text;
}

static kern_return_t mask(uint64_t first) {
  uint64_t enabled[WORDS] = {first, UINT64_MAX, UINT64_MAX, UINT64_MAX};
  return IOConnectCallScalarMethod(connect_, SET_IRQ_MASK, enabled, WORDS, NULL, NULL);
}

static const char *pending(void) {
  uint64_t words[WORDS];
  uint32_t count = WORDS;
  kern_return_t result = IOConnectCallScalarMethod(connect_, CHECK_INTERRUPT, NULL, 0, words, &count);
  return result == KERN_SUCCESS ? bits(words[0]) : told(result);
}

/* Has the device interrupt. */
static kern_return_t interrupt(uint64_t vectors) {
  uint64_t in[2];
  in[0] = 0, in[1] = vectors;
  return IOConnectCallScalarMethod(connect_, WRITE_REGISTER, in, 2, NULL, NULL);
}

/* Takes the pending bits; those of the device's vectors are in the first word. */
static uint64_t take(void) {
  uint64_t first = 0;
  for (int word = WORDS; word-- > 0;) first = __atomic_exchange_n(&page->pending[word], 0, __ATOMIC_SEQ_CST);
  return first;
}

static void too_early(void) {
  mach_vm_address_t address = 0;
  mach_vm_size_t size = 0;
  printf("wait before the setup: %s\n", told(arm(0)));
  printf("pending before the setup: %s\n", pending());
  printf("mask before the setup: %s\n", told(mask(UINT64_MAX)));
  printf("map before the setup: %s\n",
         told(IOConnectMapMemory64(connect_, IRQ_PAGE, mach_task_self(), &address, &size, kIOMapAnywhere)));
  printf("unmap before the setup: %s\n", told(IOConnectUnmapMemory64(connect_, IRQ_PAGE, mach_task_self(), 0)));
}

/* The thread that handles interrupts, until no wait is completed any more. */
static void *handle(void *context) {
  Text *text = (Text *)context;
  for (unsigned number = 4;; number++) {
    kern_return_t armed = arm(number);
    if (armed != KERN_SUCCESS) {
      put(text, "wait %u: %s\n", number, told(armed));
      return NULL;
    }
    int came = taken(100);
    put(text, "%s", completion(came));
    if (!came || told_of.status != kIOReturnSuccess) {
      put(text, "\n");
      return NULL;
    }
    uint64_t found = take();
    rest_us(4 * 1000);
    put(text, ", found %s\n", bits(found));
  }
}

static void with_a_thread(void) {
  static const struct {
    unsigned vector, after;
  } steps[] = {{0, 10}, {1, 1}, {2, 1}, {5, 18}, {6, 10}};
  static Text of_thread, of_main;
  pthread_t thread;
  if (pthread_create(&thread, NULL, handle, &of_thread) != 0) exit(1);
  rest_us(10 * 1000);
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    kern_return_t result = interrupt((uint64_t)1 << steps[i].vector);
    if (result != KERN_SUCCESS) put(&of_main, "interrupt %u: %s\n", steps[i].vector, told(result));
    rest_us(steps[i].after * 1000);
  }
  put(&of_main, "disable vector 4: %s\n", told(mask(~((uint64_t)1 << 4))));
  put(&of_main, "interrupt 4: %s\n", told(interrupt(1 << 4)));
  rest_us(2 * 1000);
  put(&of_main, "pending: %s\n", pending());
  put(&of_main, "enable it: %s\n", told(mask(UINT64_MAX)));
  rest_us(10 * 1000);
  kern_return_t closed = IOServiceClose(connect_);
  pthread_join(thread, NULL);
  printf("-- thread\n%s-- main\n%sclose: %s\n", of_thread.text, of_main.text, told(closed));
}

int main(void) {
  uint64_t vectors[1];
  uint32_t count;
  mach_vm_address_t address = 0;
  mach_vm_size_t size = 0;
  connect_ = open_dext("PassThrough");
  port = IONotificationPortCreate(kIOMainPortDefault);
  too_early();
  kern_return_t result = set_up(vectors, &count);
  printf("set up: %s\n", outcome(result, vectors, count, 0));
  need(IOConnectMapMemory64(connect_, IRQ_PAGE, mach_task_self(), &address, &size, kIOMapAnywhere), "map the interrupt page");
  page = (Page *)(uintptr_t)address;
  printf("map the page: %llu bytes\n", (unsigned long long)size);

  /* The device interrupts, and then somebody waits. */
  need(interrupt(1 << 2), "interrupt");
  printf("nobody waits, pending: %s\n", pending());
  printf("wait 1: %s\n", told(arm(1)));
  printf("  %s\n", completion(taken(5)));
  printf("  found %s\n", bits(take()));

  /* Two waits are outstanding, as the client sees it. */
  for (unsigned number = 2; number <= 3; number++) printf("wait %u: %s\n", number, told(arm(number)));
  need(interrupt(1 << 3), "interrupt");
  for (int i = 0; i < 2; i++) printf("  %s\n", completion(taken(5)));
  printf("  found %s\n", bits(take()));

  with_a_thread();

  /* The dext gives the vectors back in its Stop, which the close has not waited for. */
  rest_us(5 * 1000);
  IONotificationPortDestroy(port);
  connect_ = open_dext("PassThrough");
  port = IONotificationPortCreate(kIOMainPortDefault);
  result = set_up(vectors, &count);
  printf("set up again: %s\n", outcome(result, vectors, count, 0));
  printf("wait 1: %s\n", told(arm(1)));
  need(interrupt(1 << 7), "interrupt");
  printf("interrupt and close: %s\n", told(IOServiceClose(connect_)));
  for (int i = 0; i < 2; i++) printf("  %s\n", completion(taken(5)));
  IONotificationPortDestroy(port);
  return 0;
}
