/* A client that the flight recorder records; its argument says what it does then. */
#include <IOKit/IOKitLib.h>
#include <dextape.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static io_connect_t probe;
static volatile sig_atomic_t handled, told;

static kern_return_t call(uint32_t selector) {
  uint64_t out[16];
  uint32_t count = 0;
  return IOConnectCallScalarMethod(probe, selector, NULL, 0, out, &count);
}

static void begin(void) {
  io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("BoundaryProbe"));
  if (IOServiceOpen(service, mach_task_self(), 0, &probe) != KERN_SUCCESS) exit(3);
  IOObjectRelease(service);
  for (int i = 0; i < 10; i++) call(0);
}

static void plain(int number) {
  (void)number;
  handled++;
}

static void with_info(int number, siginfo_t *info, void *context) {
  handled += info->si_signo == number && context != NULL;
  told = info->si_pid == getpid();
}

static void triggers(int number) {
  (void)number;
  told = dextape_record_trigger("a handler") == 0;
}

static void on(int number, void (*handler)(int)) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = handler;
  sigaction(number, &action, NULL);
}

static void *three_times(void *unused) {
  (void)unused;
  for (int i = 0; i < 3; i++) {
    call(0);
    if (dextape_record_trigger("one of six") != 0) exit(5);
  }
  return NULL;
}

int main(int argc, char **argv) {
  const char *how = argc > 1 ? argv[1] : "";
  if (strcmp(how, "start") == 0) {
    /* Nothing of this is a recording. */
    printf("%d", dextape_record_start_ring("t.tape.jsonl", "1KiB", NULL));
    printf(" %d", dextape_record_start_ring("t.tape.jsonl", NULL, "signal:SIGKILL"));
    printf(" %d", dextape_record_start_ring(NULL, NULL, NULL));
    printf(" %d", dextape_record_trigger("too early"));
    printf(" %d\n", dextape_record_stop());
    printf("%d", dextape_record_start_ring("t.tape.jsonl", "1MiB,10min", "tapes:2"));
    printf(" %d\n", dextape_record_start("u.tape.jsonl"));
    begin();
    printf("%d", dextape_record_trigger("it matters"));
    printf(" %d", dextape_record_stop());
    printf(" %d\n", dextape_record_stop());
    printf("%d", dextape_record_trigger("too late"));
    printf(" %d\n", call(0));
    return 0;
  }
  if (strcmp(how, "late") == 0) {
    begin();
    printf("%d\n", dextape_record_start("t.tape.jsonl"));
    return 0;
  }
  if (strcmp(how, "before") == 0) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = with_info;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGUSR1, &action, NULL);
    on(SIGUSR2, plain);
  }
  begin();
  if (strcmp(how, "result") == 0) {
    printf("%x", call(4));
    printf(" %x\n", call(0));
  } else if (strcmp(how, "twice") == 0) {
    printf("%d", dextape_record_trigger("first"));
    printf(" %d\n", dextape_record_trigger(NULL));
  } else if (strcmp(how, "threads") == 0) {
    pthread_t one, other;
    pthread_create(&one, NULL, three_times, NULL);
    pthread_create(&other, NULL, three_times, NULL);
    pthread_join(one, NULL);
    pthread_join(other, NULL);
  } else if (strcmp(how, "before") == 0) {
    errno = 77;
    kill(getpid(), SIGUSR1);
    raise(SIGUSR2);
    printf("%d %d %d\n", handled, told, errno);
  } else if (strcmp(how, "none") == 0) {
    raise(SIGUSR1);
    printf("it goes on\n");
  } else if (strcmp(how, "within") == 0) {
    on(SIGUSR2, triggers);
    raise(SIGUSR2);
    printf("%d\n", told);
  } else if (strcmp(how, "segv") == 0) {
    *(volatile int *)8 = 1;
  } else if (strcmp(how, "abort") == 0) {
    abort();
  } else if (strcmp(how, "term") == 0) {
    kill(getpid(), SIGTERM);
    for (;;) pause();
  } else if (strcmp(how, "kill") == 0) {
    for (int i = 0; i < 20000; i++) call(0);
    kill(getpid(), SIGKILL);
  } else if (strcmp(how, "moved") == 0) {
    rename("here", "there");
    printf("%d\n", dextape_record_trigger("nowhere"));
  } else if (strcmp(how, "fork") == 0) {
    if (fork() == 0) {
      raise(SIGUSR1);
      _exit(dextape_record_trigger("a child") == 0);
    }
    int status;
    wait(&status);
    printf("%d\n", dextape_record_trigger("its parent"));
  }
  return 0;
}
