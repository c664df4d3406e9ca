/* Eight threads, argv[1] calls in all: with structures in-line and out of line, memory that is mapped,
   written and unmapped, completions, and connections that are closed and opened again. Four threads have
   a connection of their own, four share one. All of them now and then call one that another thread opens
   anew and closes meanwhile. What a call gives is checked every time. */
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { THREADS = 8 };
static io_service_t service;
static io_connect_t shared;
/* Passed on without any order of memory: that what a name stands for is seen is the library's to do. */
static _Atomic io_connect_t moving;
static uint64_t calls_each, warm_each;
static _Atomic uint64_t fired, taken, opened, mapped, late;
static pthread_barrier_t barrier;

#define CHECK(condition, ...) \
  do { if (!(condition)) { printf("%s: ", #condition); printf(__VA_ARGS__); printf("\n"); fflush(stdout); _exit(3); } } while (0)

static io_connect_t open_one(void) {
  io_connect_t connect = 0;
  kern_return_t kr = IOServiceOpen(service, mach_task_self(), 0, &connect);
  CHECK(kr == 0, "%x", (unsigned)kr);
  opened++;
  return connect;
}

static void *run(void *argument) {
  uint64_t self = (uintptr_t)argument;
  int own = self < THREADS / 2;
  io_connect_t c = own ? open_one() : shared;
  mach_port_t wake;
  IOCreateReceivePort(53, &wake);
  unsigned char *in = malloc(5000), *out = malloc(5001);
  memset(in, (int)self, 5000);
  for (uint64_t call = 0; call < calls_each; call++) {
    if (call == warm_each) pthread_barrier_wait(&barrier), pthread_barrier_wait(&barrier);
    kern_return_t kr;
    uint64_t word[2] = {64, 0}, got[4] = {0};
    uint32_t n = 4;
    size_t size = 64;
    switch (call % 16) {
      case 3: { /* a completion, whose reference is this thread's alone */
        uint64_t reference[4] = {0, 0, 0, call << 8 | self};
        struct { mach_msg_header_t header; unsigned char rest[512]; } m;
        word[0] = call % 5, word[1] = 2;
        kr = IOConnectCallAsyncScalarMethod(c, 8, wake, reference, 4, word, 2, NULL, NULL);
        CHECK(kr == 0, "async: %x", (unsigned)kr);
        fired += 2;
        for (int i = 0; i < 2; i++) {
          kr = mach_msg(&m.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, wake, 60000, 0);
          CHECK(kr == 0, "receive: %x", (unsigned)kr);
          uint64_t seen;
          memcpy(&seen, (char *)&m + 32 + 24, 8);
          CHECK(seen == reference[3] && m.header.msgh_size == 104 + 8 * word[0], "a completion of another");
          taken++;
        }
        break;
      }
      case 7: /* out of line, both ways */
        size = 5000, out[4999] = 0, out[5000] = 7;
        kr = IOConnectCallMethod(c, 11, NULL, 0, in, 5000, NULL, NULL, out, &size);
        CHECK(kr == 0 && size == 5000 && out[0] == 0xab && out[4999] == 0xab && out[5000] == 7, "%x", (unsigned)kr);
        break;
      case 11:
        if (own) { /* memory of the dext, to itself */
          mach_vm_address_t at = 0;
          mach_vm_size_t length = 0;
          kr = IOConnectMapMemory64(c, 0, mach_task_self(), &at, &length, kIOMapAnywhere);
          CHECK(kr == 0 && length == 128, "map: %x", (unsigned)kr);
          *(volatile uint64_t *)at = call;
          CHECK(*(volatile uint64_t *)at == call, "memory");
          kr = IOConnectUnmapMemory64(c, 0, mach_task_self(), at);
          CHECK(kr == 0, "unmap: %x", (unsigned)kr);
          mapped++;
          break;
        } /* fall through */
      case 5:
        kr = IOConnectCallScalarMethod(c, 1, NULL, 0, got, &n);
        CHECK(kr == 0 && n == 4 && got[3] == 4, "scalars: %x", (unsigned)kr);
        break;
      case 9: { /* it may be closed before the call, and during it */
        io_connect_t name = atomic_load_explicit(&moving, memory_order_relaxed);
        sched_yield();
        kr = IOConnectCallMethod(name, 5, word, 1, in, 24, NULL, NULL, out, &size);
        /* One that has arrived already, and waits behind the close, finds the user client gone. */
        int gone = kr == MACH_SEND_INVALID_DEST || kr == -308; /* MIG_SERVER_DIED */
        CHECK(kr == 0 ? size == 64 && out[63] == 0x5a : gone, "moving: %x", (unsigned)kr);
        late += kr != 0;
        break;
      }
      default:
        kr = IOConnectCallMethod(c, 5, word, 1, in, 24, NULL, NULL, out, &size);
        CHECK(kr == 0 && size == 64 && out[63] == 0x5a, "structure: %x", (unsigned)kr);
    }
    if (own && call % 500 == 499) {
      CHECK((kr = IOServiceClose(c)) == 0, "close: %x", (unsigned)kr);
      c = open_one();
    }
    if (self == THREADS - 1 && call % 100 == 49) {
      kr = IOServiceClose(atomic_exchange_explicit(&moving, open_one(), memory_order_relaxed));
      CHECK(kr == 0, "close of the moving one: %x", (unsigned)kr);
    }
  }
  if (own) IOServiceClose(c);
  mach_port_mod_refs(mach_task_self(), wake, MACH_PORT_RIGHT_RECEIVE, -1);
  free(in), free(out);
  return NULL;
}

/* Bytes of memory that this process has in use. */
static long resident(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file && fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
  if (file) fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  calls_each = (argc > 1 ? strtoull(argv[1], NULL, 10) : 8000) / THREADS;
  warm_each = calls_each / 2;
  CHECK(calls_each > 1, "too few calls");
  service = find("BoundaryProbe");
  shared = open_one(), moving = open_one();
  pthread_t threads[THREADS];
  pthread_barrier_init(&barrier, NULL, THREADS + 1);
  double start = now();
  for (uintptr_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, run, (void *)i);
  pthread_barrier_wait(&barrier);
  long before = resident();
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  double took = now() - start;
  long grown = resident() - before;
  CHECK(fired == taken, "%llu fired, %llu taken", (unsigned long long)fired, (unsigned long long)taken);
  /* A recorder maps its journal, which grows with every call. */
  CHECK(grown < 8 << 20 || getenv("DEXTAPE_RECORD"), "memory has grown by %ld KiB in the second half", grown / 1024);
  IOServiceClose(shared), IOServiceClose(moving), IOObjectRelease(service);
  printf("%llu calls by %d threads: %llu completions, %llu maps, %llu opens\n", (unsigned long long)calls_each * THREADS,
         THREADS, (unsigned long long)taken, (unsigned long long)mapped, (unsigned long long)opened);
  printf("figures: %.0f calls a second, memory %+ld KiB in the second half, %llu calls after a close\n",
         (double)(calls_each * THREADS) / took, grown / 1024, (unsigned long long)late);
  return 0;
}
