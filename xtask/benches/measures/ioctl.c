/* argv[1] ioctls that read 24 bytes of an input device; prints nanoseconds an ioctl. */
#include <fcntl.h>
#include <linux/input.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int argc, char **argv) {
  long calls = strtol(argc > 1 ? argv[1] : "1", NULL, 10);
  int device = open("/dev/input/event1", O_RDWR);
  struct input_absinfo info;
  double start = now();
  for (long call = 0; call < calls; call++) {
    if (ioctl(device, EVIOCGABS(0), &info) != 0) {
      perror("failed to ask the device");
      return 1;
    }
  }
  printf("%.3f\n", (now() - start) / (double)calls);
  return 0;
}
