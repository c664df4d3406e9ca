/* A program of a customer's: it answers the host of a virtual HID device (the scenario hid-frames), takes the numbered
 * reports that the host sends, and tells how many of the last 65,536 have come. */
#include <IOKit/IOKitLib.h>
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEND_FRAME = 0, START = 2, GET_FRAME = 4 };
enum { PING = 0x81, INIT = 0x86, NUMBERED = 0xc0 };
enum { FRAME = 64, UNKNOWN_MAX = 4000 };

static io_connect_t device;
/* A bit for each report. */
static uint8_t came[1 << 13];

static void send_frame(const uint8_t *frame) {
  IOConnectCallStructMethod(device, SEND_FRAME, frame, FRAME, NULL, NULL);
}

/* The host asks for a channel: what it sent goes back, with the channel and what this device is. */
static void give_channel(const uint8_t *frame) {
  static const uint8_t given[] = {0, 0, 1, 1, 2, 1, 0, 0, 0};
  uint8_t answer[FRAME];
  memcpy(answer, frame, FRAME);
  answer[6] = 8 + sizeof given;
  memcpy(answer + 15, given, sizeof given);
  send_frame(answer);
}

static void take_report(const uint8_t *frame) {
  const uint8_t *bytes = frame + 7;
  uint32_t number = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
  size_t place = number / 8;
  assert(place < sizeof came);
  /* What stands here is of reports long ago. */
  if (number % 8 == 0) came[place] = 0;
  came[place] |= (uint8_t)(1 << number % 8);
}

static unsigned count(void) {
  unsigned count = 0;
  for (size_t i = 0; i < sizeof came; i++) count += (unsigned)__builtin_popcount(came[i]);
  return count;
}

int main(int argc, char **argv) {
  /* Milliseconds without a frame after which the host is taken to have no more. */
  int patience = argc > 1 ? atoi(argv[1]) : 500;
  io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOUserService"));
  if (IOServiceOpen(service, mach_task_self(), 0, &device) != KERN_SUCCESS) return 3;
  IOObjectRelease(service);
  if (IOConnectCallScalarMethod(device, START, NULL, 0, NULL, NULL) != KERN_SUCCESS) return 4;
  for (int idle = 0, unknown = 0; idle < patience && unknown < UNKNOWN_MAX;) {
    uint8_t frame[FRAME];
    size_t size = sizeof frame;
    if (IOConnectCallStructMethod(device, GET_FRAME, NULL, 0, frame, &size) != KERN_SUCCESS) {
      usleep(1000);
      idle++;
      continue;
    }
    idle = 0;
    switch (frame[4]) {
    case INIT: give_channel(frame); break;
    case PING: send_frame(frame); break;
    case NUMBERED: take_report(frame); break;
    default: unknown++; /* A later host may send more than this program knows. */
    }
  }
  IOServiceClose(device);
  printf("%u reports\n", count());
  return 0;
}
