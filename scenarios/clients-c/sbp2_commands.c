/* The client of the scenario sbp2-commands in C: submits commands to a disk and polls for their results, through timeouts and
 * resets of the bus. Its argument says whether it keeps the generation of the bus that it has learned first: stale. */
#include "client.h"
#include <stdbool.h>

enum { CREATE_SESSION = 52, START_LOGIN, SESSION_STATE, SUBMIT_COMMAND = 57, COMMAND_RESULT, RELEASE_SESSION = 60, BUS_RESET };
enum { STATUS };
enum { LOGGED_IN = 2, FAILED = 6 };
enum { NONE, FROM_TARGET, TO_TARGET };
enum { TEST_UNIT_READY = 0x00, INQUIRY = 0x12, START_STOP_UNIT = 0x1b, READ = 0x28, WRITE = 0x2a };
enum { DISK_NODE = 0, BLOCK = 512, MANY_BLOCKS = 16, SENSE = 18 };
/* How often it is asked for what takes time, and looked at what changes. */
enum { POLL_US = 7000, POLLS_MORE = 5, LOGIN_POLLS = 20, LOOK_AGAIN_US = 750, LOOKS = 20 };
/* What a command has, in milliseconds; the second is less than the disk's motor needs. */
enum { TIMEOUT = 200, SHORT_TIMEOUT = 40 };

typedef struct {
  uint32_t cdb_length, transfer_length, outgoing_length, timeout_ms;
  uint8_t direction, capture_sense, reserved[2];
} Request;

typedef struct {
  uint32_t transport_status;
  uint8_t sbp_status, reserved[3];
  uint32_t payload_length, sense_length;
} Result;

typedef struct {
  uint32_t version, length;
  uint64_t sequence, timestamp;
  uint32_t reason, detail;
  char state_name[32];
  uint32_t state, flags, generation, nodes, local_node, root_node, reserved[2];
  uint64_t resets;
  uint32_t pending, timeouts;
  uint64_t more[18];
} Status;

typedef struct {
  const uint8_t *cdb;
  uint32_t cdb_length;
  const uint8_t *outgoing;
  uint32_t outgoing_length, transfer_length, timeout;
} Command;

static io_connect_t connect_;
static const volatile Status *status;
static uint64_t session, generation;
static bool is_stale;

/* What came back last. */
static struct {
  uint8_t bytes[sizeof(Result) + MANY_BLOCKS * BLOCK + SENSE];
  size_t size;
} answer;

/* The status is of one piece only between two equal and even sequences. */
static void show_status(void) {
  for (int look = 0; look < LOOKS; look++) {
    uint64_t before = __atomic_load_n(&status->sequence, __ATOMIC_ACQUIRE);
    if (before % 2 == 0) {
      Status block;
      memcpy(&block, (const void *)(uintptr_t)status, sizeof block);
      __atomic_thread_fence(__ATOMIC_ACQUIRE);
      if (status->sequence == before) {
        printf("status: %.32s, generation %u, %u nodes, root %u; %u pending, %u timeouts\n", block.state_name, block.generation,
               block.nodes, block.root_node, block.pending, block.timeouts);
        return;
      }
    }
    rest_us(LOOK_AGAIN_US);
  }
  printf("status: changes all the time\n");
}

static const char *plain(uint32_t selector, uint64_t scalar, uint32_t count) {
  return told(IOConnectCallScalarMethod(connect_, selector, &scalar, count, NULL, NULL));
}

/* Asks until the session has logged in, or cannot. */
static void wait_for_login(void) {
  for (int poll = 0; poll < LOGIN_POLLS; poll++) {
    uint64_t out[5];
    uint32_t count = 5;
    kern_return_t result = IOConnectCallScalarMethod(connect_, SESSION_STATE, &session, 1, out, &count);
    if (result != KERN_SUCCESS) {
      printf("session: call selector %d: %s\n", SESSION_STATE, told(result));
      return;
    }
    if (out[0] == LOGGED_IN) {
      if (generation == 0 || !is_stale) generation = out[2];
      printf("session: logged in, generation %llu\n", (unsigned long long)out[2]);
      return;
    }
    if (out[0] == FAILED) {
      printf("session: failed with %s\n", told((kern_return_t)out[3]));
      return;
    }
    rest_us(POLL_US);
  }
  printf("session: not logged in\n");
}

static kern_return_t submit(const Command *command, uint64_t *handle) {
  uint8_t bytes[sizeof(Request) + 16 + MANY_BLOCKS * BLOCK];
  uint64_t in[2];
  uint32_t count = 1;
  Request request = {command->cdb_length, command->transfer_length, command->outgoing_length, command->timeout, NONE, 1, {0, 0}};
  if (command->transfer_length > 0) request.direction = FROM_TARGET;
  else if (command->outgoing_length > 0) request.direction = TO_TARGET;
  memcpy(bytes, &request, sizeof request);
  memcpy(bytes + sizeof request, command->cdb, command->cdb_length);
  if (command->outgoing_length > 0)
    memcpy(bytes + sizeof request + command->cdb_length, command->outgoing, command->outgoing_length);
  in[0] = session, in[1] = generation;
  return IOConnectCallMethod(connect_, SUBMIT_COMMAND, in, 2, bytes, sizeof request + command->cdb_length + command->outgoing_length,
                             handle, &count, NULL, NULL);
}

static kern_return_t ask(uint64_t handle, const Command *command) {
  answer.size = sizeof(Result) + command->transfer_length + SENSE;
  return IOConnectCallMethod(connect_, COMMAND_RESULT, &handle, 1, NULL, 0, NULL, NULL, answer.bytes, &answer.size);
}

/* What came of a command, from its bytes. */
static const char *finished(void) {
  static char text[96];
  Result result;
  memcpy(&result, answer.bytes, sizeof result);
  const uint8_t *sense = answer.bytes + sizeof result + result.payload_length;
  if (result.transport_status != 0)
    snprintf(text, sizeof text, "failed with %s", told((kern_return_t)result.transport_status));
  else if (result.sense_length > 12)
    snprintf(text, sizeof text, "refused, sense %#04x %#04x", sense[2], sense[12]);
  else if (result.payload_length > 0)
    snprintf(text, sizeof text, "ok, %u bytes", result.payload_length);
  else
    return "ok";
  return text;
}

/* Asks for the result of a command until there is one, or its time is long up. */
static const char *finish(uint64_t handle, const Command *command) {
  static char text[128];
  unsigned polls = command->timeout / (POLL_US / 1000) + POLLS_MORE;
  for (unsigned poll = 0; poll < polls; poll++) {
    rest_us(POLL_US);
    kern_return_t result = ask(handle, command);
    if (result == KERN_SUCCESS) return finished();
    /* Not yet, or never: the dext does not say. */
    if (result == kIOReturnNotFound) continue;
    kern_return_t again = ask(handle, command);
    snprintf(text, sizeof text, "%s, asked again %s", told(result), told(again));
    return text;
  }
  return "no result, long after its time";
}

static const char *do_command(const Command *command) {
  static char text[96];
  uint64_t handle = 0;
  kern_return_t result = submit(command, &handle);
  if (result == KERN_SUCCESS) return finish(handle, command);
  snprintf(text, sizeof text, "not submitted: %s", told(result));
  return text;
}

static const char *six(uint8_t operation, uint8_t fifth, uint32_t transfer, uint32_t timeout) {
  uint8_t cdb[6] = {0};
  cdb[0] = operation, cdb[4] = fifth;
  Command command = {cdb, sizeof cdb, NULL, 0, transfer, timeout};
  return do_command(&command);
}

static const char *blocks(uint8_t operation, uint8_t first, uint8_t count, const uint8_t *outgoing) {
  uint8_t cdb[10] = {0};
  uint32_t length = (uint32_t)count * BLOCK;
  cdb[0] = operation, cdb[5] = first, cdb[8] = count;
  Command command = {cdb, sizeof cdb, outgoing, outgoing ? length : 0, outgoing ? 0 : length, TIMEOUT};
  return do_command(&command);
}

static const char *same(const uint8_t *bytes, size_t size) {
  return memcmp(answer.bytes + sizeof(Result), bytes, size) == 0 ? "the same" : "something else";
}

static void use_the_disk(void) {
  static uint8_t block[BLOCK], many[MANY_BLOCKS * BLOCK];
  const char *inquiry = six(INQUIRY, 36, 36, TIMEOUT);
  if (strncmp(inquiry, "ok", 2) == 0) {
    int length = 24;
    const char *name = (const char *)answer.bytes + sizeof(Result) + 8;
    while (length > 0 && name[length - 1] == ' ') length--;
    printf("inquiry: %.*s\n", length, name);
  } else {
    printf("inquiry: %s\n", inquiry);
  }
  for (size_t i = 0; i < sizeof block; i++) block[i] = (uint8_t)(i % 251);
  for (size_t i = 0; i < sizeof many; i++) many[i] = (uint8_t)(i % 249);
  printf("write block 3: %s\n", blocks(WRITE, 3, 1, block));
  const char *read = blocks(READ, 3, 1, NULL);
  printf("read block 3: %s, %s\n", read, same(block, sizeof block));
  printf("an unknown command: %s\n", six(0xc0, 0, 0, TIMEOUT));
  printf("read block 99: %s\n", blocks(READ, 99, 1, NULL));
  printf("write %d blocks: %s\n", MANY_BLOCKS, blocks(WRITE, 0, MANY_BLOCKS, many));
  memset(answer.bytes, 0, sizeof answer.bytes);
  read = blocks(READ, 0, MANY_BLOCKS, NULL);
  printf("read %d blocks: %s, %s\n", MANY_BLOCKS, read, same(many, sizeof many));
}

static const char *ready(void) { return six(TEST_UNIT_READY, 0, 0, TIMEOUT); }

/* The bus is reset while the disk starts its motor. */
static void reset(void) {
  uint8_t cdb[6] = {START_STOP_UNIT, 0, 0, 0, 1, 0};
  Command start = {cdb, sizeof cdb, NULL, 0, 0, TIMEOUT};
  uint64_t handle = 0;
  kern_return_t submitted = submit(&start, &handle);
  rest_us(POLL_US);
  printf("reset the bus: %s\n", plain(BUS_RESET, 0, 0));
  show_status();
  printf("ready? %s\n", ready());
  if (submitted == KERN_SUCCESS) printf("start: %s\n", finish(handle, &start));
  else printf("start: not submitted: %s\n", told(submitted));
  wait_for_login();
  printf("ready? %s\n", ready());
}

int main(int argc, char **argv) {
  mach_vm_address_t address = 0;
  mach_vm_size_t size = 0;
  uint64_t node = DISK_NODE;
  uint32_t count = 1;
  is_stale = argc > 1 && strcmp(argv[1], "stale") == 0;
  connect_ = open_dext("FireWireBus");
  need(IOConnectMapMemory64(connect_, STATUS, mach_task_self(), &address, &size, kIOMapAnywhere), "map the status");
  status = (const volatile Status *)(uintptr_t)address;
  need(IOConnectCallScalarMethod(connect_, CREATE_SESSION, &node, 1, &session, &count), "make a session");
  show_status();
  printf("log in: %s\n", plain(START_LOGIN, session, 1));
  wait_for_login();
  use_the_disk();
  printf("stop, %d ms: %s\n", SHORT_TIMEOUT, six(START_STOP_UNIT, 0, 0, SHORT_TIMEOUT));
  printf("ready? %s\n", ready());
  show_status();
  reset();
  printf("eject: %s\n", six(START_STOP_UNIT, 2, 0, TIMEOUT));
  wait_for_login();
  printf("ready? %s\n", ready());
  show_status();
  printf("release the session: %s\n", plain(RELEASE_SESSION, session, 1));
  printf("close: %s\n", told(IOServiceClose(connect_)));
  return 0;
}
