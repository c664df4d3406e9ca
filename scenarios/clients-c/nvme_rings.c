/* The client of the scenario nvme-rings in C, with one queue pair: rings in shared memory by raw pointers, their indices
 * by atomic operations. Its argument is `right` or `phase`: how it sees that a command has ended. */
#include "client.h"

enum { INIT, ONESHOT, CREATE_QUEUE_PAIR, DELETE_QUEUE_PAIR, ALLOC_BUFFER, DEALLOC_BUFFER, POKE };
enum { FLUSH, WRITE, READ, IDENTIFY = 6 };
enum { QUEUE_DEPTH = 4, BLOCKS = 6, BLOCK_SIZE = 512, IDENTIFY_LENGTH = 4096 };

typedef struct {
  uint8_t opcode, flags;
  uint16_t command_id;
  uint32_t name_space;
  uint64_t reserved, pointers[3], first_block;
  uint32_t last_block, unused[3];
} Command;

typedef struct {
  uint32_t result, reserved;
  uint16_t submission_head, queue, command_id, status;
} Completion;

typedef struct {
  Command command;
  Completion completion;
  uint64_t opaque, queue, data_bytes, data_offset, data_token, metadata[3];
} Submission;
typedef char submission_is_144_bytes[sizeof(Submission) == 144 ? 1 : -1];

typedef struct {
  uint64_t id, depth;
  int64_t vector;
  uint64_t flags;
} QueueRequest;

/* A ring: who puts in moves the tail, who takes out moves the head, and one entry stays empty. */
typedef struct {
  uint64_t depth, tail, head, size;
  Submission entries[QUEUE_DEPTH];
} Ring;

typedef struct {
  uint64_t token;
  mach_vm_address_t address;
  mach_vm_size_t size;
  uint8_t *bytes;
} Buffer;

static io_connect_t connect_;
static int by_phase;
static uint64_t queue_id;
static Ring *submissions, *completions;
static mach_vm_size_t submissions_size, completions_size;
/* Next entry of the completion ring, and the phase that it has once it is filled. */
static uint64_t taken;
static unsigned phase = 1;
static uint16_t last_id;

static uint64_t load(uint64_t *index) { return __atomic_load_n(index, __ATOMIC_ACQUIRE); }
static uint64_t after(uint64_t index) { return (index + 1) % QUEUE_DEPTH; }

static void advance(uint64_t *index, uint64_t from) {
  if (__atomic_exchange_n(index, after(from), __ATOMIC_SEQ_CST) == from) return;
  fprintf(stderr, "another thread uses this queue\n");
  exit(1);
}

static void *map(uint32_t type, mach_vm_size_t *size) {
  mach_vm_address_t address = 0;
  *size = 0;
  need(IOConnectMapMemory64(connect_, type, mach_task_self(), &address, size, kIOMapAnywhere), "map memory");
  return (void *)(uintptr_t)address;
}

static kern_return_t allocate(uint64_t length, Buffer *buffer) {
  size_t size = sizeof buffer->token;
  kern_return_t result = IOConnectCallStructMethod(connect_, ALLOC_BUFFER, &length, sizeof length, &buffer->token, &size);
  if (result != KERN_SUCCESS) return result;
  buffer->bytes = (uint8_t *)map(1u << 17 | (uint32_t)(buffer->token & 0xffff), &buffer->size);
  return KERN_SUCCESS;
}

static kern_return_t release(const Buffer *buffer) {
  IOConnectUnmapMemory64(connect_, 1u << 17 | (uint32_t)(buffer->token & 0xffff), mach_task_self(),
                         (mach_vm_address_t)(uintptr_t)buffer->bytes);
  return IOConnectCallStructMethod(connect_, DEALLOC_BUFFER, &buffer->token, sizeof buffer->token, NULL, NULL);
}

static const char *status_of(unsigned status) {
  static char text[32];
  switch (status) {
    case 0x00: return "ok";
    case 0x01: return "invalid opcode";
    case 0x02: return "invalid field";
    case 0x04: return "data transfer error";
    case 0x80: return "block out of range";
  }
  snprintf(text, sizeof text, "status %#x", status);
  return text;
}

static const char *identify(const Buffer *buffer, uint64_t what, uint8_t opcode) {
  Submission in, out;
  size_t size = sizeof out;
  memset(&in, 0, sizeof in);
  in.command.opcode = opcode;
  in.command.name_space = 1;
  in.command.first_block = what;
  in.data_bytes = IDENTIFY_LENGTH;
  in.data_token = buffer->token;
  need(IOConnectCallStructMethod(connect_, ONESHOT, &in, sizeof in, &out, &size), "run a command");
  return status_of(out.completion.status >> 1);
}

/* A text without the blanks and zeros at its end. */
static void print_text(const uint8_t *bytes, int length) {
  while (length > 0 && (bytes[length - 1] == ' ' || bytes[length - 1] == 0)) length--;
  printf("\"%.*s\"", length, (const char *)bytes);
}

/* What disk it is, by commands that run inside their call. */
static void describe(void) {
  Buffer buffer;
  need(allocate(IDENTIFY_LENGTH, &buffer), "allocate a buffer");
  printf("identify the controller: %s, ", identify(&buffer, 1, IDENTIFY));
  print_text(buffer.bytes + 24, 40);
  printf(" ");
  print_text(buffer.bytes + 4, 20);
  printf("\nidentify the namespace: %s, ", identify(&buffer, 0, IDENTIFY));
  uint64_t blocks;
  memcpy(&blocks, buffer.bytes, sizeof blocks);
  printf("%llu blocks\n", (unsigned long long)blocks);
  printf("identify something else: %s\n", identify(&buffer, 7, IDENTIFY));
  printf("another command: %s\n", identify(&buffer, 1, 0x7f));
  need(release(&buffer), "free a buffer");
  printf("free a buffer twice: call selector 5: %s\n", told(release(&buffer)));
}

static void create_queue(void) {
  QueueRequest request = {0, QUEUE_DEPTH, -1, 0}, made;
  size_t size = sizeof made;
  need(IOConnectCallStructMethod(connect_, CREATE_QUEUE_PAIR, &request, sizeof request, &made, &size), "make a queue pair");
  queue_id = made.id;
  submissions = (Ring *)map(1u << 16 | (uint32_t)queue_id, &submissions_size);
  completions = (Ring *)map((uint32_t)queue_id, &completions_size);
  printf("queue pair %llu: %llu entries in %llu bytes%s; %llu entries in %llu bytes%s\n", (unsigned long long)queue_id,
         (unsigned long long)submissions->depth, (unsigned long long)submissions->size,
         submissions->size == submissions_size ? "" : ", not as mapped", (unsigned long long)completions->depth,
         (unsigned long long)completions->size, completions->size == completions_size ? "" : ", not as mapped");
}

/* Puts a command into the submission ring; 0 where that has no room. */
static int submit(uint8_t opcode, uint64_t first_block, uint64_t token, uint64_t offset) {
  uint64_t tail = load(&submissions->tail);
  if (tail >= QUEUE_DEPTH) need(kIOReturnError, "find the tail of a ring");
  if (load(&submissions->head) == after(tail)) return 0;
  Submission *entry = &submissions->entries[tail];
  memset(entry, 0, sizeof *entry);
  entry->command.opcode = opcode;
  entry->command.command_id = ++last_id;
  entry->command.name_space = 1;
  entry->command.first_block = first_block;
  entry->opaque = 0x1000u + last_id;
  entry->queue = queue_id;
  entry->data_bytes = BLOCK_SIZE;
  entry->data_offset = offset;
  entry->data_token = token;
  advance(&submissions->tail, tail);
  return 1;
}

static kern_return_t poke(uint64_t submission, uint64_t completion) {
  uint64_t in[2];
  in[0] = submission, in[1] = completion;
  return IOConnectCallScalarMethod(connect_, POKE, in, 2, NULL, NULL);
}

/* The next command that has ended, within a second. */
static int wait_for_end(Completion *completion, uint64_t *opaque) {
  for (int i = 0; i < 1000; i++) {
    Submission *entry = &completions->entries[taken];
    int is_there = by_phase ? (__atomic_load_n(&entry->completion.status, __ATOMIC_ACQUIRE) & 1) == phase
                            : load(&completions->tail) != taken;
    if (is_there) {
      *completion = entry->completion;
      *opaque = entry->opaque;
      advance(&completions->head, taken);
      taken = after(taken);
      if (taken == 0) phase ^= 1;
      return 1;
    }
    pause_ms(1);
  }
  return 0;
}

/* Waits for the end of the commands from `first` to `last_id`, in whatever order. */
static int reap(unsigned first) {
  unsigned count = last_id + 1u - first, under_way = (1u << count) - 1;
  printf("; ended");
  while (under_way != 0) {
    Completion completion;
    uint64_t opaque;
    if (!wait_for_end(&completion, &opaque)) {
      printf("; no word of");
      for (unsigned i = 0; i < count; i++)
        if (under_way >> i & 1) printf(" %u", first + i);
      printf("\n");
      return 0;
    }
    unsigned id = completion.command_id, bit = id - first;
    if (id < first || bit >= count || !(under_way >> bit & 1) || opaque != 0x1000u + id) {
      printf("; then %u, which is not under way\n", id);
      return 0;
    }
    under_way &= ~(1u << bit);
    printf(" %u", id);
    if (completion.status >> 1 != 0) printf(" (%s)", status_of(completion.status >> 1));
  }
  printf("\n");
  return 1;
}

/* Reads or writes all blocks, as many at once as the ring has room for. */
static int transfer(uint8_t opcode, uint64_t offset, const Buffer *buffer) {
  printf("%s %d blocks\n", opcode == WRITE ? "write" : "read", BLOCKS);
  uint64_t next = 0;
  while (next < BLOCKS) {
    unsigned first = last_id + 1u;
    int room = 1;
    while (next < BLOCKS && (room = submit(opcode, next, buffer->token, offset + next * BLOCK_SIZE)) != 0) next++;
    printf("  %u submitted%s", last_id + 1u - first, room ? "" : ", no room for more");
    need(poke(queue_id, queue_id), "ring the bell");
    if (!reap(first)) return 0;
  }
  return 1;
}

static uint8_t pattern(uint64_t index) { return (uint8_t)(index * 37 + 1); }

static void compare(const Buffer *buffer) {
  unsigned same = 0;
  for (unsigned index = 0; index < BLOCKS; index++) {
    unsigned equal = 0;
    for (unsigned i = 0; i < BLOCK_SIZE; i++) equal += buffer->bytes[(BLOCKS + index) * BLOCK_SIZE + i] == pattern(index);
    same += equal == BLOCK_SIZE;
  }
  printf("  %u of %u blocks as written\n", same, (unsigned)BLOCKS);
}

/* Commands that fail, one at a time. */
static void failures(const Buffer *buffer) {
  const struct {
    const char *what;
    uint8_t opcode;
    uint64_t first_block, token, offset;
  } cases[] = {{"read past the end", READ, (uint64_t)1 << 40, buffer->token, 0},
               {"no such opcode", 0x7f, 0, buffer->token, 0},
               {"no such buffer", READ, 0, 999, 0},
               {"data past its buffer", WRITE, 0, buffer->token, buffer->size}};
  for (int i = 0; i < 4; i++) {
    if (!submit(cases[i].opcode, cases[i].first_block, cases[i].token, cases[i].offset)) {
      printf("%s: no room\n", cases[i].what);
      return;
    }
    printf("%s", cases[i].what);
    need(poke(queue_id, queue_id), "ring the bell");
    if (!reap(last_id)) return;
  }
}

static void work(const Buffer *buffer) {
  for (unsigned index = 0; index < BLOCKS; index++) {
    memset(buffer->bytes + index * BLOCK_SIZE, pattern(index), BLOCK_SIZE);
    memset(buffer->bytes + (BLOCKS + index) * BLOCK_SIZE, 0xee, BLOCK_SIZE);
  }
  if (!transfer(WRITE, 0, buffer) || !transfer(READ, BLOCKS * BLOCK_SIZE, buffer)) return;
  compare(buffer);
  failures(buffer);
}

static const char *unmap(uint32_t type, const Ring *ring) {
  return told(IOConnectUnmapMemory64(connect_, type, mach_task_self(), (mach_vm_address_t)(uintptr_t)ring));
}

int main(int argc, char **argv) {
  Buffer buffer;
  by_phase = argc > 1 && strcmp(argv[1], "phase") == 0;
  connect_ = open_dext("NvmeRings");
  kern_return_t early = allocate(IDENTIFY_LENGTH, &buffer);
  printf("buffer before init: %s%s\n", early == KERN_SUCCESS ? "" : "call selector 4: ", told(early));
  printf("init: %s\n", told(IOConnectCallMethod(connect_, INIT, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL)));
  describe();
  create_queue();
  need(allocate(2 * BLOCKS * BLOCK_SIZE, &buffer), "allocate a buffer");
  printf("-- queue %llu\n", (unsigned long long)queue_id);
  work(&buffer);
  printf("unmap the submission ring: %s\n", unmap(1u << 16 | (uint32_t)queue_id, submissions));
  printf("unmap the completion ring: %s\n", unmap((uint32_t)queue_id, completions));
  QueueRequest request = {queue_id, 0, 0, 0};
  printf("delete the queue pair: %s\n",
         told(IOConnectCallStructMethod(connect_, DELETE_QUEUE_PAIR, &request, sizeof request, NULL, NULL)));
  uint32_t head;
  if (!faults((volatile uint32_t *)(void *)&completions->head, 0, &head)) printf("a ring that nobody can unmap is left\n");
  need(release(&buffer), "free a buffer");
  printf("-- after all\n");
  printf("poke a queue that is gone: %s\n", told(poke(1, 1)));
  printf("poke rings of two queues: %s\n", told(poke(1, 2)));
  printf("close: %s\n", told(IOServiceClose(connect_)));
  return 0;
}
