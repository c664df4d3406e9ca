/* Random argument sets, each held against an account of what semantics.md says of it (groups A to D and
   F to H), written from there alone: nothing of the library is asked for what it should have done.

   A fault that a rule demands (A3, A6, D4, F6, A14) is caught here and must come just then, at address 0;
   any other ends the program. After every call the dext is asked how many calls it has had, so that a
   call which should not have reached it, or should have, is found. The behaviour of the dext itself is
   that of boundary-probe.

   Left out: touching memory that was unmapped (F23), names of the task's own ports as connections, and the
   selectors 10 and 12 to 14, which wait, end the service, follow pointers and answer late. 15 is none of the
   dext's. argv[1] is the number of cases. */

enum {
  BAD_ARGUMENT = (int)0xe00002c2, IPC_ERROR = (int)0xe00002bf, UNSUPPORTED = (int)0xe00002c7,
  OFFLINE = (int)0xe00002d7, NOT_READY = (int)0xe00002d8, UNDERRUN = (int)0xe00002e7,
  NO_DEVICE = (int)0xe00002c0, ERROR = (int)0xe00002bc, ABORTED = (int)0xe00002eb,
  INVALID_DEST = 0x10000003, INVALID_RIGHT = 0x1000000a, TOO_LARGE = -307,
  FAULT = 1, ANY = 2
};

static uint64_t state = 0x9e3779b97f4a7c15ull, at_case;
static uint64_t rnd(void) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return state * 0x2545f4914f6cdd1dull;
}
static unsigned below(unsigned n) { return (unsigned)((rnd() >> 33) % n); }
#define PICK(...) \
  ((uint64_t[]){__VA_ARGS__}[below(sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))])

#define CHECK(condition, ...) \
  do { if (!(condition)) { \
    printf("case %llu: %s: ", (unsigned long long)at_case, #condition); printf(__VA_ARGS__); printf("\n"); \
    fflush(stdout); _exit(3); } } while (0)

/* A connection as the rules see it. */
struct connection {
  io_connect_t name;
  int rights, closed, ever_mapped, mapped;
  uint64_t calls, address;
};
enum { SLOTS = 4 };
static struct connection slots[SLOTS];
static io_service_t service;
static io_iterator_t iterator;
static mach_port_t wake, dead;
static int published = 1;
static struct { uint64_t faults, refused, reached, good, completions, maps, opens; } count;

/* What a destination is: the code that every message to it gets, 0 where it arrives. */
struct target { io_connect_t name; kern_return_t code; struct connection *slot; };

static kern_return_t code_of(const struct connection *c) {
  if (c->rights == 0) return INVALID_DEST;
  if (!c->closed && published) return 0;
  return c->ever_mapped ? BAD_ARGUMENT : INVALID_DEST; /* H1 */
}

static struct target target(void) {
  switch (below(16)) {
    case 0: return (struct target){0, INVALID_DEST, NULL};
    case 1: return (struct target){dead, INVALID_DEST, NULL};
    /* The low bits of a name are set: this is none. */
    case 2: return (struct target){(uint32_t)rnd() & ~3u, INVALID_DEST, NULL};
    case 3: return (struct target){MACH_PORT_DEAD, INVALID_DEST, NULL};
    case 4: return (struct target){service, BAD_ARGUMENT, NULL};
    case 5: return (struct target){iterator, BAD_ARGUMENT, NULL};
    default: {
      struct connection *c = &slots[below(SLOTS)];
      return (struct target){c->name, code_of(c), c};
    }
  }
}

/* Room with bytes behind it that nobody may touch. */
enum { ROOM = 16384 };
static unsigned char in_room[ROOM + 64], out_room[ROOM + 64];
static uint64_t scalars_in[32], scalars_out[64];

static int all(const unsigned char *bytes, size_t count, unsigned char value) {
  for (size_t i = 0; i < count; i++) if (bytes[i] != value) return 0;
  return 1;
}

static uint64_t load(const void *at) { uint64_t value; memcpy(&value, at, 8); return value; }

/* The dext's count of calls, which is one itself. */
static void count_calls(struct connection *c) {
  if (!c || code_of(c)) return;
  uint64_t seen = 0;
  uint32_t one = 1;
  kern_return_t kr = IOConnectCallScalarMethod(c->name, 9, NULL, 0, &seen, &one);
  CHECK(kr == 0 && one == 1, "count of calls: %x", (unsigned)kr);
  CHECK(seen == c->calls, "the dext saw %llu calls, not %llu", (unsigned long long)seen,
        (unsigned long long)c->calls);
  c->calls++;
}

static void completions(uint64_t expected, uint64_t arguments, const uint64_t *reference, uint32_t given) {
  struct { mach_msg_header_t header; unsigned char rest[512]; } m;
  for (uint64_t i = 0; i < expected; i++) {
    kern_return_t kr = mach_msg(&m.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, wake, 5000, 0);
    CHECK(kr == 0, "completion %d: %x", (int)i, (unsigned)kr);
    const unsigned char *at = (const unsigned char *)&m;
    uint32_t result;
    memcpy(&result, at + 96, 4);
    CHECK(m.header.msgh_id == 53 && m.header.msgh_size == 104 + 8 * arguments, "D15: %d %u",
          m.header.msgh_id, m.header.msgh_size);
    CHECK(result == (uint32_t)ABORTED, "D14: %x", result);
    for (unsigned r = 0; r < 8; r++)
      CHECK(load(at + 32 + 8 * r) == (r && reference && r < given ? reference[r] : 0), "D7, D8: %u", r);
    for (uint64_t a = 0; a < arguments; a++)
      CHECK(load(at + 100 + 8 * a) == (a + 1) * 0x100000001ull, "argument %d", (int)a);
    count.completions++;
  }
  kern_return_t kr = mach_msg(&m.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, wake, 0, 0);
  CHECK(kr == 0x10004003, "one completion too many: %x", (unsigned)kr);
}

static void method(void) {
  struct target to = target();
  int async = below(3) == 0, shape = below(4); /* 0, 1: all; 2: scalars; 3: structures */
  uint32_t selector = below(40) ? (uint32_t)PICK(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15) : (uint32_t)rnd() | 0x100;

  /* Scalars. */
  uint32_t in_count = (uint32_t)PICK(0, 0, 0, 1, 1, 2, 2, 2, 3, 15, 16, 17, 20, rnd());
  for (int i = 0; i < 32; i++) scalars_in[i] = rnd();
  scalars_in[0] = PICK(0, 1, 10, 16, 17, 64, 4096, 4097, 5000, 8192);
  scalars_in[1] = below(4);
  unsigned in_shift = below(4) ? 0 : 3;
  memmove((char *)scalars_in + in_shift, scalars_in, 24 * 8);
  uint64_t first = load((char *)scalars_in + in_shift), second = load((char *)scalars_in + in_shift + 8);
  uint64_t *in = (uint64_t *)((char *)scalars_in + in_shift);
  if (below(8) == 0) in = NULL;
  if (in_count == 0 || in_count > 16) in = (uint64_t *)PICK(0, 1, 16, (uintptr_t)in, rnd());

  /* A structure: sizes around the limits, and pointers to nothing where the library must not follow. */
  size_t size = (size_t)PICK(0, 0, 1, 24, 64, 4095, 4096, 4097, 5000, 16384, 1ull << 32, 1ull << 62, rnd());
  unsigned char *bytes = in_room + below(5);
  if (below(8) == 0) bytes = NULL;
  if (size == 0 && below(2)) bytes = (unsigned char *)rnd();
  if (size > 4096 && below(4) == 0) bytes = (unsigned char *)PICK(1, 0x10000, ~0xfffull);

  /* Asked scalars. */
  memset(scalars_out, 0x77, sizeof scalars_out);
  uint32_t asked_in = (uint32_t)PICK(0, 0, 1, 1, 2, 8, 15, 16, 17, 20, rnd()), asked = asked_in;
  uint32_t *out_count = below(4) ? &asked : NULL;
  uint32_t wanted = out_count ? (asked_in > 16 ? 16 : asked_in) : 0; /* A4, A5 */
  uint64_t *out = (uint64_t *)((char *)scalars_out + (below(4) ? 0 : 5));
  if (below(8) == 0) out = NULL;
  if (wanted == 0) out = (uint64_t *)PICK(0, 1, (uintptr_t)out, rnd());

  /* An asked structure. */
  memset(out_room, 0x77, sizeof out_room);
  const size_t variable = (size_t)-3;
  size_t room_in = (size_t)PICK(0, 1, 10, 64, 64, 4095, 4096, 4097, 5000, 16384, 1ull << 32, (1ull << 32) + 5,
                                variable, rnd() | 1ull << 40), room = room_in;
  size_t *out_size = below(4) ? &room : NULL;
  uint64_t most = out_size ? room_in : 0;
  unsigned char *into = out_room + below(5);
  if (below(8) == 0) into = NULL;
  if (most == 0 && below(2)) into = (unsigned char *)rnd();
  if (most > 4096 && most < 1 << 20 && below(4) == 0) into = (unsigned char *)PICK(1, 0x10000, ~0xfffull);

  /* The asynchronous half. */
  uint64_t reference[20], kept[20];
  for (int i = 0; i < 20; i++) kept[i] = reference[i] = rnd();
  uint32_t reference_count = (uint32_t)PICK(0, 1, 2, 3, 5, 6, 7, 8, 8, 9, 16, rnd());
  const uint64_t *refs = below(8) ? reference : NULL;
  mach_port_t port = below(6) ? wake : (mach_port_t)PICK(0, 0, 0, 0, dead, service, 0x77777700, slots[0].name);
  int no_wake = port == 0, own_wake = port == wake;

  if (shape == 2) size = 0, most = 0, out_size = NULL, bytes = NULL, into = NULL;
  if (shape == 3) in_count = 0, wanted = 0, out_count = NULL, in = NULL, out = NULL;
  int is_variable = !async && most == variable;
  int inline_out = most > 0 && most <= 4096;

  /* What becomes of it, in the order of A18. */
  int expect, reached = 0;
  /* No descriptor is made of a range that wraps or that is longer than any memory (B4, B8). */
  int descriptor_in = size > 4096 && bytes && size < 1ull << 40 && (uintptr_t)bytes < 1ull << 63;
  int descriptor_out = most > 4096 && !is_variable && into && (uintptr_t)into < 1ull << 63;
  /* Where nothing is mapped, the dext has a descriptor that it cannot map (B6). What lies at other odd
     addresses nobody promises. */
  int nowhere_in = descriptor_in && (uintptr_t)bytes <= 0x10000 && size <= 16384;
  int nowhere_out = descriptor_out && (uintptr_t)into <= 0x10000 && most <= 16384;
  int odd_in = bytes && size > 4096 && !(bytes >= in_room && bytes < in_room + ROOM && size <= ROOM);
  int odd_out = into && most > 4096 && !is_variable && !(into >= out_room && into < out_room + ROOM);
  uint64_t length = 0; /* of what the dext returns in-line */
  uint32_t returned = wanted;
  if (async && reference_count > 8) expect = TOO_LARGE;                           /* D1 */
  else if (async && !refs && reference_count > 0) expect = FAULT;                 /* D4 */
  else if (in_count > 16) expect = TOO_LARGE;                                     /* A2 */
  else if (in_count > 0 && !in) expect = FAULT;                                   /* A3 */
  else if (size > 0 && size <= 4096 && !bytes) expect = FAULT;                    /* A3 */
  else if (to.code == INVALID_DEST) expect = INVALID_DEST;                        /* A15, H1 */
  else if (async && !no_wake && !own_wake) expect = INVALID_RIGHT;                /* D5 */
  else if (to.code) expect = to.code;                                             /* A16, H1 */
  else if (async && refs && reference_count == 0) expect = BAD_ARGUMENT;          /* D3 */
  else if (!is_variable && most > 0xffffffff && into) expect = IPC_ERROR;         /* A13 */
  else {
    reached = 1;
    expect = 0;
    int set = 0; /* the dext sets structureOutput */
    switch (selector) {
      case 0: case 1: case 3: case 7: case 9: break;
      case 2: if (returned > 1) returned = 1; break;                              /* C7 */
      case 4: expect = OFFLINE; break;
      case 5: set = 1, length = in_count ? first : 10; if (length > 8192) length = 8192; break;
      case 6: set = 1; break;
      case 8: if (!async || no_wake) expect = BAD_ARGUMENT; break;                /* D6 */
      case 11:
        if (nowhere_out) expect = ERROR;                                          /* B6 */
        else if (odd_out) expect = ANY;
        else if (!descriptor_out) expect = BAD_ARGUMENT;
        else if (in_count) expect = NOT_READY;
        break;
      default: expect = UNSUPPORTED;
    }
    if (expect == 0 && is_variable && !set) expect = UNDERRUN;                    /* C6 */
    if (expect == 0 && set && !is_variable && length > (inline_out ? most : 0)) expect = BAD_ARGUMENT; /* C2, C5 */
    if (expect == 0 && inline_out && !set) length = most;                         /* C3 */
    if (expect == 0 && returned > 0 && !out) expect = FAULT;                      /* A6 */
    if (expect == 0 && inline_out && length > 0 && !into) expect = FAULT;         /* A6 */
  }
  if (is_variable && !into && expect != FAULT) expect = (expect == TOO_LARGE) ? ANY : FAULT; /* A14 */

  volatile kern_return_t kr = 0;
  fault_address = 1;
  int faulted = FAULTS(
      kr = async ? (shape == 2   ? IOConnectCallAsyncScalarMethod(to.name, selector, port, (uint64_t *)refs,
                                                                  reference_count, in, in_count, out, out_count)
                    : shape == 3 ? IOConnectCallAsyncStructMethod(to.name, selector, port, (uint64_t *)refs,
                                                                  reference_count, bytes, size, into, out_size)
                                 : IOConnectCallAsyncMethod(to.name, selector, port, (uint64_t *)refs,
                                                            reference_count, in, in_count, bytes, size, out,
                                                            out_count, into, out_size))
           : shape == 2 ? IOConnectCallScalarMethod(to.name, selector, in, in_count, out, out_count)
           : shape == 3 ? IOConnectCallStructMethod(to.name, selector, bytes, size, into, out_size)
                        : IOConnectCallMethod(to.name, selector, in, in_count, bytes, size, out, out_count, into,
                                              out_size));
#define ABOUT "got %x%s, expected %x: selector %u async %d inputs %u size %zx asked %u room %zx null %d%d%d%d", \
      (unsigned)kr, faulted ? " and a fault" : "", (unsigned)expect, selector, async, in_count, size, asked_in, \
      room_in, !in, !bytes, !out, !into
  if (expect != ANY) {
    CHECK(faulted == (expect == FAULT), ABOUT);
    if (!faulted) CHECK(kr == expect, ABOUT);
  }
  if (faulted) CHECK(fault_address == 0, "a fault at %zx", (size_t)fault_address);
  faulted ? count.faults++ : reached ? count.reached++ : count.refused++;

  /* What came back. */
  if (!faulted && kr != 0) { /* A17 */
    CHECK(asked == asked_in && all((unsigned char *)scalars_out, sizeof scalars_out, 0x77), ABOUT);
    if (is_variable) {
      CHECK(room == 0 && load(into) == 0, ABOUT); /* A14 */
    } else {
      CHECK(room == room_in, ABOUT);
      if (selector != 11) CHECK(all(out_room, sizeof out_room, 0x77), ABOUT); /* B8 */
    }
  }
  if (!faulted && kr == 0) {
    count.good++;
    if (out_count) CHECK(asked == returned, ABOUT);
    uint64_t seen[] = {in_count,
                       size > 0 && size <= 4096 ? size : ~0ull,
                       descriptor_in ? size : ~0ull,
                       is_variable ? 0xffffffff : inline_out ? most : descriptor_out ? most : 0,
                       descriptor_out ? most : ~0ull,
                       (uint64_t)(async && !no_wake),
                       wanted};
    for (uint32_t i = 0; i < returned; i++) {
      uint64_t value = load(out + i), should = 0;
      if (selector >= 1 && selector <= 3) should = i + 1;
      if (selector == 9) should = i ? 0 : to.slot->calls;
      if (selector == 7) {
        if ((i == 7 || i == 2) && odd_in && !nowhere_in) continue;
        if ((i == 3 || i == 4) && odd_out && !nowhere_out) continue;
        should = i < 7 ? seen[i] : i > 7 ? 0 : nowhere_in ? 0xe00002bc : descriptor_in ? size : ~0ull;
      }
      CHECK(value == should, "scalar %u is %llx, not %llx; case of selector %u, size %zx room %zx async %d", i,
            (unsigned long long)value, (unsigned long long)should, selector, size, room_in, async);
    }
    if (wanted) {
      size_t used = (size_t)((unsigned char *)(out + returned) - (unsigned char *)scalars_out);
      if (out) CHECK(all((unsigned char *)scalars_out + used, sizeof scalars_out - used, 0x77), ABOUT); /* C7 */
    }
    if (is_variable) {
      void *pages = (void *)load(into);
      CHECK(room == length && all(pages, length, 0x5a), ABOUT); /* C6 */
      if (pages) CHECK(vm_deallocate(mach_task_self(), (vm_address_t)pages, room) == 0, ABOUT);
    } else if (inline_out) {
      int set = selector == 5 || selector == 6;
      CHECK(room == length, ABOUT);                                                /* C1, C3 */
      if (into) CHECK(all(into, length, set ? 0x5a : 0) && all(into + length, 5, 0x77), ABOUT);
    } else if (out_size) {
      CHECK(room == (uint32_t)most, ABOUT);                                        /* A12, C4 */
      if (selector == 11 && !odd_out) CHECK(all(into, most, 0xab) && into[most] == 0x77, ABOUT);
    }
  }
  CHECK(memcmp(reference, kept, sizeof kept) == 0, "D7: the reference was changed");
  if (reached) to.slot->calls++;
  if (async && own_wake) {
    uint64_t arguments = in_count ? first : 0;
    if (arguments > 17) arguments = 17;
    uint64_t fired = reached && selector == 8 ? (in_count > 1 ? second : 1) : 0;
    if (arguments > 16) fired = 0;                                                 /* D13 */
    completions(fired, arguments, refs, reference_count);
  }
  count_calls(to.slot);
}

static void map(void) {
  struct target to = target();
  uint32_t type = (uint32_t)PICK(0, 0, 0, 1, rnd() | 2);
  struct connection *c = to.slot;
  task_port_t task = below(8) ? mach_task_self() : 0;
  if (below(2)) {
    mach_vm_address_t at = PICK(0, rnd(), c ? c->address : 0), at_in = at;
    mach_vm_size_t size = rnd(), size_in = size;
    /* The bits that are discarded, and those of guards (F1). */
    uint32_t options = kIOMapAnywhere | ((uint32_t)rnd() & 0xfffff000u);
    if (below(8) == 0) options = 0, at = at_in = 0;
    int fixed = !(options & kIOMapAnywhere), nulls = below(12);
    kern_return_t expect = nulls < 2                       ? FAULT          /* F6 */
                           : to.code                       ? to.code
                           : task == 0 || type != 0 || fixed ? BAD_ARGUMENT /* F5, F7, F9 */
                                                           : 0;
    volatile kern_return_t kr = 0;
    fault_address = 1;
    int faulted = FAULTS(kr = IOConnectMapMemory64(to.name, type, task, nulls == 0 ? NULL : &at,
                                                   nulls == 1 ? NULL : &size, options));
    CHECK(faulted == (expect == FAULT) && (faulted || kr == expect), "map: %x, not %x", (unsigned)kr, (unsigned)expect);
    if (faulted) CHECK(fault_address == 0, "a fault at %zx", (size_t)fault_address);
    if (faulted || kr) {
      CHECK(at == at_in && size == size_in, "F5: the address or the size has changed");
      faulted ? count.faults++ : count.refused++;
      return;
    }
    CHECK(size == 128 && at != 0, "F10: %llu", (unsigned long long)size);
    if (c->mapped) CHECK(at == c->address, "F11: another address");
    volatile unsigned char *memory = (volatile unsigned char *)at;
    if (!c->ever_mapped) CHECK(memory[127] == 0, "I3: memory that is not zero");
    memory[127] = 9, memory[16383] = 1;
    c->address = at, c->mapped = c->ever_mapped = 1;
    count.maps++;
  } else {
    kern_return_t expect = to.code     ? to.code
                           : task == 0 ? BAD_ARGUMENT /* F7 */
                           : type != 0 ? NO_DEVICE    /* F18 */
                           : c->mapped ? 0
                                       : BAD_ARGUMENT; /* F16, F17 */
    kern_return_t kr = IOConnectUnmapMemory64(to.name, type, task, PICK(0, rnd(), c ? c->address : 5)); /* F15 */
    CHECK(kr == expect, "unmap: %x, not %x", (unsigned)kr, (unsigned)expect);
    if (kr == 0) c->mapped = 0;
    else count.refused++;
  }
  count_calls(c);
}

static uint32_t rights_of(mach_port_t name) {
  mach_port_urefs_t rights = 0;
  return mach_port_get_refs(mach_task_self(), name, MACH_PORT_RIGHT_SEND, &rights) ? 0 : rights;
}

static void open_again(struct connection *c) {
  if (c->rights > 0 || !published) return;
  *c = (struct connection){0};
  kern_return_t kr = IOServiceOpen(service, mach_task_self(), 0, &c->name);
  CHECK(kr == 0 && c->name, "open: %x", (unsigned)kr);
  c->rights = 1;
  count.opens++;
}

static void rights(void) {
  struct connection *c = &slots[below(SLOTS)];
  kern_return_t kr;
  switch (below(5)) {
    case 0: { /* G1, G2, G3 */
      io_connect_t got = 5;
      struct target to = target();
      /* Unpublished, the name of the service still is that of a service. */
      if (to.name == service && to.slot == NULL && to.code == BAD_ARGUMENT && !published) return;
      task_port_t task = below(6) ? mach_task_self() : 0;
      uint32_t type = (uint32_t)PICK(1, 0xe00002be, 0xe00002c9, 77);
      int is_service = to.name == service;
      /* A connection that has ended is no port any more, where it never mapped. */
      kern_return_t expect = to.slot            ? (code_of(to.slot) ? ANY : BAD_ARGUMENT)
                             : !is_service      ? to.code
                             : task == 0        ? BAD_ARGUMENT
                             : type == 1        ? ERROR
                                                : (kern_return_t)type;
      kr = IOServiceOpen(to.name, task, type, &got);
      if (expect != ANY) CHECK(kr == expect, "open: %x, not %x", (unsigned)kr, (unsigned)expect);
      CHECK(got == (is_service && task ? 0u : 5u), "open: name %u after %x", got, (unsigned)kr);
      count.refused++;
      return;
    }
    case 1:
      open_again(c);
      return;
    case 2:
      if (c->rights > 0 && c->rights < 3) {
        CHECK((kr = IOConnectAddRef(c->name)) == 0, "AddRef: %x", (unsigned)kr);
        c->rights++;
      }
      break;
    case 3: { /* G12, G13, H2 */
      if (below(c->closed ? 2 : 4)) return;
      kern_return_t code = code_of(c), expect = code == BAD_ARGUMENT ? 0 : code;
      if (c->rights == 0) return;
      kr = IOServiceClose(c->name);
      CHECK(kr == expect, "close: %x, not %x", (unsigned)kr, (unsigned)expect);
      c->rights--, c->closed = 1;
      break;
    }
    default:
      if (c->rights > 1) {
        CHECK((kr = IOConnectRelease(c->name)) == 0, "Release: %x", (unsigned)kr);
        c->rights--;
      }
  }
  CHECK(rights_of(c->name) == (uint32_t)c->rights, "%u rights, not %d", rights_of(c->name), c->rights);
}

static CFMutableDictionaryRef properties;

static void others(void) {
  struct target to = target();
  kern_return_t expect = to.code ? to.code : UNSUPPORTED, kr;
  switch (below(5)) {
    case 0: {
      io_service_t found = 5;
      kr = IOConnectGetService(to.name, &found); /* G18 */
      CHECK(found == 5, "G18: the service has changed");
      break;
    }
    case 1: kr = IOConnectSetNotificationPort(to.name, (uint32_t)rnd(), below(2) ? wake : 0, rnd()); break; /* G16 */
    case 2: { /* G17 */
      struct connection *c = &slots[below(SLOTS)];
      int live = code_of(c) == 0 && below(2);
      if (!to.code && !live) expect = BAD_ARGUMENT;
      kr = IOConnectAddClient(to.name, live ? c->name : (io_connect_t)PICK(0, service, iterator));
      break;
    }
    case 3: kr = IOConnectSetCFProperties(to.name, properties); break; /* G19 */
    default: { /* G20, G21 */
      uint32_t index = (uint32_t)PICK(2, 3, 100, rnd() | 2);
      expect = to.code ? BAD_ARGUMENT : 0;
      kr = below(2) ? IOConnectTrap0(to.name, index) : IOConnectTrap6(to.name, index, rnd(), 0, rnd(), 1, 2, rnd());
    }
  }
  CHECK(kr == expect, "%x, not %x", (unsigned)kr, (unsigned)expect);
  count.refused++;
  count_calls(to.slot);
}

int main(int argc, char **argv) {
  uint64_t cases = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
  setvbuf(stdout, NULL, _IOLBF, 0);
  service = find("BoundaryProbe");
  IOServiceGetMatchingServices(0, IOServiceMatching("BoundaryProbe"), &iterator);
  IOCreateReceivePort(53, &wake);
  mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &dead);
  mach_port_insert_right(mach_task_self(), dead, dead, MACH_MSG_TYPE_MAKE_SEND);
  mach_port_mod_refs(mach_task_self(), dead, MACH_PORT_RIGHT_RECEIVE, -1);
  properties = IOServiceMatching("X");
  uint64_t last = cases - cases / 20;
  for (at_case = 0; at_case < cases; at_case++) {
    if (at_case == last) { /* The rest is of connections whose service is gone. */
      for (int i = 0; i < SLOTS; i++) open_again(&slots[i]);
      for (int i = 0; i < SLOTS; i++)
        if (code_of(&slots[i]) == 0) {
          CHECK(IOConnectCallScalarMethod(slots[i].name, 12, NULL, 0, NULL, NULL) == 0, "termination");
          break;
        }
      published = 0;
    }
    if (below(8) == 0) open_again(&slots[below(SLOTS)]);
    unsigned kind = below(16);
    if (kind < 10) method();
    else if (kind < 12) map();
    else if (kind < 14) rights();
    else others();
  }
  for (int i = 0; i < SLOTS; i++)
    while (slots[i].rights-- > 0) IOConnectRelease(slots[i].name);
  IOObjectRelease(service), IOObjectRelease(iterator), CFRelease(properties);
  mach_port_mod_refs(mach_task_self(), wake, MACH_PORT_RIGHT_RECEIVE, -1);
  mach_port_mod_refs(mach_task_self(), dead, MACH_PORT_RIGHT_DEAD_NAME, -1);
  printf("faults %llu refused %llu reached %llu good %llu completions %llu maps %llu opens %llu\n",
         (unsigned long long)count.faults, (unsigned long long)count.refused, (unsigned long long)count.reached,
         (unsigned long long)count.good, (unsigned long long)count.completions, (unsigned long long)count.maps,
         (unsigned long long)count.opens);
  return 0;
}
