/* The client of the scenario blocking-waits in C: four threads wait in calls of one connection, each in its own, while the
 * main thread goes on. */
#include "client.h"
#include <pthread.h>
#include <stdarg.h>

enum { READ_REGISTER, WRITE_REGISTER, WAIT_FOR_INTERRUPT = 11, INTERRUPT_COUNT, WAIT_FOR_CHANGE };
enum { REGISTERS };
enum { OUTPUT, INPUT_1, INPUT_2 };
enum { ID, CONTROL, OUTPUT_FRAME, INPUT_FRAME, FORMAT };
enum { BOARD_ID = 0x105180, NEW_FORMAT = 2 };
/* What waits have, in milliseconds. */
enum { FRAME_TIMEOUT = 50, SIGNAL_TIMEOUT = 100, CHANGE_TIMEOUT = 500 };
enum { FRAMES = 4, TRIES = 2 };

static io_connect_t connect_;

/* A thread: what it is called, how it goes about its work, and what it has to say. */
typedef struct Worker {
  const char *name;
  unsigned start_us, pace_us;
  kern_return_t (*body)(struct Worker *);
  pthread_t thread;
  char text[1024];
  size_t length;
} Worker;

static void put(Worker *worker, const char *format, ...) {
  va_list list;
  va_start(list, format);
  worker->length += (size_t)vsnprintf(worker->text + worker->length, sizeof worker->text - worker->length, format, list);
  va_end(list);
}

/* Calls a method that returns one scalar, or none where there is no place for it. */
static kern_return_t call(const Worker *worker, uint32_t selector, uint64_t first, uint64_t second, uint32_t scalars,
                          uint64_t *value) {
  uint64_t in[2];
  uint32_t count = 1;
  in[0] = first, in[1] = second;
  rest_us(worker->pace_us);
  return IOConnectCallScalarMethod(connect_, selector, in, scalars, value, value ? &count : NULL);
}

/* Whether the interrupt came in time, and how many came before that nobody waited for. */
static kern_return_t frame(const Worker *worker, uint64_t line, uint64_t *last, uint64_t *came, char missed[32]) {
  uint64_t count = 0;
  kern_return_t result = call(worker, WAIT_FOR_INTERRUPT, line, FRAME_TIMEOUT, 2, came);
  if (result != KERN_SUCCESS) return result;
  result = call(worker, INTERRUPT_COUNT, line, 0, 1, &count);
  if (result != KERN_SUCCESS) return result;
  uint64_t lost = count - *last - (*came ? 1 : 0);
  *last = count;
  missed[0] = 0;
  if (lost > 0) snprintf(missed, 32, ", missed %llu", (unsigned long long)lost);
  return KERN_SUCCESS;
}

static kern_return_t play(Worker *worker) {
  uint64_t last = 0, came = 0;
  char missed[32];
  for (uint64_t number = 1; number <= FRAMES; number++) {
    kern_return_t result = frame(worker, OUTPUT, &last, &came, missed);
    if (result == KERN_SUCCESS) result = call(worker, WRITE_REGISTER, OUTPUT_FRAME, number, 2, NULL);
    if (result != KERN_SUCCESS) return result;
    put(worker, "frame %llu %s%s\n", (unsigned long long)number, came ? "goes out" : "has no interrupt", missed);
  }
  return KERN_SUCCESS;
}

static kern_return_t capture(Worker *worker) {
  uint64_t last = 0, came = 0, number = 0;
  char missed[32];
  for (int i = 0; i < FRAMES; i++) {
    kern_return_t result = frame(worker, INPUT_1, &last, &came, missed);
    if (result == KERN_SUCCESS) result = call(worker, READ_REGISTER, INPUT_FRAME, 0, 1, &number);
    if (result != KERN_SUCCESS) return result;
    put(worker, "frame %llu %s%s\n", (unsigned long long)number, came ? "came in" : "was there without an interrupt", missed);
  }
  return KERN_SUCCESS;
}

static kern_return_t watch(Worker *worker) {
  uint64_t came = 0, format = 0;
  kern_return_t result = call(worker, WAIT_FOR_CHANGE, CHANGE_TIMEOUT, 0, 1, &came);
  if (result == KERN_SUCCESS) result = call(worker, READ_REGISTER, FORMAT, 0, 1, &format);
  if (result == KERN_SUCCESS)
    put(worker, "%s: %llu\n", came ? "the format changed" : "no change was told", (unsigned long long)format);
  return result;
}

static kern_return_t search(Worker *worker) {
  for (int i = 0; i < TRIES; i++) {
    uint64_t came = 0;
    kern_return_t result = call(worker, WAIT_FOR_INTERRUPT, INPUT_2, SIGNAL_TIMEOUT, 2, &came);
    if (result != KERN_SUCCESS) return result;
    put(worker, "%s\n", came ? "a signal" : "no signal");
  }
  return KERN_SUCCESS;
}

static void *work(void *context) {
  Worker *worker = (Worker *)context;
  rest_us(worker->start_us);
  kern_return_t result = worker->body(worker);
  if (result != KERN_SUCCESS) put(worker, "gives up: %s\n", told(result));
  return NULL;
}

static const char *write_register(uint64_t number, uint64_t value) {
  uint64_t in[2];
  in[0] = number, in[1] = value;
  return told(IOConnectCallScalarMethod(connect_, WRITE_REGISTER, in, 2, NULL, NULL));
}

int main(void) {
  /* A millisecond apart, each with a pace of its own: who comes first is the same in every run. */
  static Worker workers[] = {{"player", 0, 70, play, 0, {0}, 0},
                             {"capture", 1000, 110, capture, 0, {0}, 0},
                             {"watcher", 2000, 130, watch, 0, {0}, 0},
                             {"second input", 3000, 170, search, 0, {0}, 0}};
  mach_vm_address_t address = 0;
  mach_vm_size_t size = 0;
  connect_ = open_dext("VideoBoard");
  need(IOConnectMapMemory64(connect_, REGISTERS, mach_task_self(), &address, &size, kIOMapAnywhere), "map the registers");
  uint32_t board = ((volatile uint32_t *)(uintptr_t)address)[ID];
  printf("map the registers: %s\n", board == BOARD_ID ? "the board is known" : "another board");
  printf("start the board: %s\n", write_register(CONTROL, 1));
  for (size_t i = 0; i < sizeof workers / sizeof workers[0]; i++)
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) exit(1);
  rest_us(33000);
  printf("set the format: %s\n", write_register(FORMAT, NEW_FORMAT));
  for (size_t i = 0; i < sizeof workers / sizeof workers[0]; i++) {
    pthread_join(workers[i].thread, NULL);
    printf("-- %s\n%s", workers[i].name, workers[i].text);
  }
  printf("-- main\nstop the board: %s\n", write_register(CONTROL, 0));
  printf("close: %s\n", told(IOServiceClose(connect_)));
  return 0;
}
