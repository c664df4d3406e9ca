// A stand-in for IOKit and CoreFoundation, so that the real system's code runs on a machine that is no
// Mac: built as a Linux library, loaded by macho-run in place of both frameworks.
//
// It has one service, AppleSMC, with a few keys behind selector 2, and one buffer as memory type 0.
// Beyond what a real one does: selector 3 posts completions, selector 4 has its termination noticed.
// It keeps count of every handle and value that it gives out; what is left at the end is said on
// stderr and makes the program fail, because the code under test owns each of them.
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_DEST = 0x10000003 };
static const int32_t BAD_ARGUMENT = (int32_t)0xe00002c2, ARRAY_TOO_LARGE = -307;
static const int32_t UNSUPPORTED = (int32_t)0xe00002c7;

// ---- What the recorder uses of libSystem and macho-run does not have

int __register_atfork(void (*before)(void), void (*parent)(void), void (*child)(void), void *library);
int pthread_atfork(void (*before)(void), void (*parent)(void), void (*child)(void)) {
  return __register_atfork(before, parent, child, NULL);
}

// ---- CoreFoundation: enough for the values of a registry

enum kind { BOOLEAN = 1, NUMBER, STRING, DATA, ARRAY, DICTIONARY, SET };
typedef struct value {
  long kind;
  atomic_long references;
  long count;              // bytes, or items
  int64_t number;
  uint8_t *bytes;
  struct value **keys, **items;
} value;
typedef struct { long location, length; } range;

static atomic_long live_values, live_handles;
static value yes = {.kind = BOOLEAN, .references = 1, .number = 1}, no = {.kind = BOOLEAN, .references = 1};
value *kCFBooleanTrue = &yes, *kCFBooleanFalse = &no;
void *kCFAllocatorDefault;
long kCFTypeArrayCallBacks[8], kCFTypeDictionaryKeyCallBacks[8], kCFTypeDictionaryValueCallBacks[8];

long CFBooleanGetTypeID(void) { return BOOLEAN; }
long CFNumberGetTypeID(void) { return NUMBER; }
long CFStringGetTypeID(void) { return STRING; }
long CFDataGetTypeID(void) { return DATA; }
long CFArrayGetTypeID(void) { return ARRAY; }
long CFDictionaryGetTypeID(void) { return DICTIONARY; }
long CFSetGetTypeID(void) { return SET; }
long CFGetTypeID(value *v) { return v->kind; }

static value *make(long kind, long count) {
  value *v = calloc(1, sizeof *v);
  v->kind = kind, v->count = count, v->references = 1;
  live_values++;
  return v;
}
static value *make_bytes(long kind, const void *bytes, long count) {
  value *v = make(kind, count);
  v->bytes = malloc(count + 1);
  memcpy(v->bytes, bytes, count);
  return v;
}
static value *text(const char *s) { return make_bytes(STRING, s, strlen(s)); }
value *CFRetain(value *v) { v->references++; return v; }
void CFRelease(value *v) {
  if (--v->references > 0) return;
  if (v == &yes || v == &no) abort(); // one release too many
  for (long i = 0; i < v->count; i++) {
    if (v->keys) CFRelease(v->keys[i]);
    if (v->items) CFRelease(v->items[i]);
  }
  free(v->bytes), free(v->keys), free(v->items), free(v);
  live_values--;
}
uint8_t CFBooleanGetValue(value *v) { return v->number; }
value *CFNumberCreate(void *a, long type, const void *place) {
  value *v = make(NUMBER, 0);
  if (type != 4) abort(); // kCFNumberSInt64Type
  memcpy(&v->number, place, 8);
  return v;
}
uint8_t CFNumberGetValue(value *v, long type, void *place) {
  if (type != 4) abort();
  memcpy(place, &v->number, 8);
  return 1;
}
value *CFStringCreateWithBytes(void *a, const uint8_t *bytes, long count, uint32_t encoding, uint8_t external) {
  return make_bytes(STRING, bytes, count);
}
long CFStringGetLength(value *v) { return v->count; }
long CFStringGetBytes(value *v, range r, uint32_t encoding, uint8_t loss, uint8_t external, uint8_t *to, long room, long *used) {
  if (to) memcpy(to, v->bytes + r.location, r.length < room ? r.length : room);
  *used = r.length;
  return r.length;
}
value *CFDataCreate(void *a, const uint8_t *bytes, long count) { return make_bytes(DATA, bytes, count); }
long CFDataGetLength(value *v) { return v->count; }
const uint8_t *CFDataGetBytePtr(value *v) { return v->bytes; }
static value **retained(value **items, long count) {
  value **copy = calloc(count + 1, sizeof *copy);
  for (long i = 0; i < count; i++) copy[i] = CFRetain(items[i]);
  return copy;
}
value *CFArrayCreate(void *a, value **items, long count, const void *callbacks) {
  value *v = make(ARRAY, count);
  v->items = retained(items, count);
  return v;
}
long CFArrayGetCount(value *v) { return v->count; }
value *CFArrayGetValueAtIndex(value *v, long i) { return v->items[i]; }
long CFSetGetCount(value *v) { return v->count; }
void CFSetGetValues(value *v, value **to) { memcpy(to, v->items, v->count * sizeof *to); }
value *CFDictionaryCreate(void *a, value **keys, value **items, long count, const void *k, const void *i) {
  value *v = make(DICTIONARY, count);
  v->keys = retained(keys, count), v->items = retained(items, count);
  return v;
}
long CFDictionaryGetCount(value *v) { return v->count; }
void CFDictionaryGetKeysAndValues(value *v, value **keys, value **items) {
  memcpy(keys, v->keys, v->count * sizeof *keys);
  memcpy(items, v->items, v->count * sizeof *items);
}

static int same(value *a, value *b) {
  if (a->kind != b->kind || a->count != b->count) return 0;
  if (a->kind == STRING || a->kind == DATA) return !memcmp(a->bytes, b->bytes, a->count);
  return a->number == b->number;
}
static value *entry(value *dictionary, const char *key) {
  for (long i = 0; dictionary && i < dictionary->count; i++) {
    value *k = dictionary->keys[i];
    if (k->count == (long)strlen(key) && !memcmp(k->bytes, key, k->count)) return dictionary->items[i];
  }
  return NULL;
}

// ---- The registry: one service

enum { SERVICE = 0x1003, ITERATORS = 0x2000, CONNECTIONS = 0x3000, HANDLES_MAX = 0x1000 };
const uint32_t kIOMasterPortDefault;
static atomic_int iterators, connections;
static int left[HANDLES_MAX]; // of each iterator: services to come

static value *properties(void) {
  value *keys[] = {text("IOClass"), text("Numbers"), text("Built-in"), text("Blob")};
  int64_t seven = 7, minus = -1;
  value *numbers[] = {CFNumberCreate(0, 4, &seven), CFNumberCreate(0, 4, &minus)};
  value *items[] = {text("AppleSMC"), CFArrayCreate(0, numbers, 2, 0), CFRetain(kCFBooleanTrue), CFDataCreate(0, (uint8_t *)"\1\2", 2)};
  value *all = CFDictionaryCreate(0, keys, items, 4, 0, 0);
  for (int i = 0; i < 4; i++) CFRelease(keys[i]), CFRelease(items[i]);
  for (int i = 0; i < 2; i++) CFRelease(numbers[i]);
  return all;
}
static int matches(value *matching) {
  value *all = properties(), *class = entry(matching, "IOProviderClass"), *wanted = entry(matching, "IOPropertyMatch");
  int yes = !class || same(class, entry(all, "IOClass"));
  for (long i = 0; yes && wanted && i < wanted->count; i++) {
    char key[64] = {0};
    memcpy(key, wanted->keys[i]->bytes, wanted->keys[i]->count < 63 ? wanted->keys[i]->count : 63);
    value *found = entry(all, key);
    yes = found && same(found, wanted->items[i]);
  }
  CFRelease(all);
  return yes;
}
int32_t IOServiceGetMatchingServices(uint32_t port, value *matching, uint32_t *iterator) {
  int number = iterators++;
  if (number >= HANDLES_MAX) abort();
  left[number] = matches(matching);
  CFRelease(matching); // consumed
  live_handles++;
  *iterator = ITERATORS + number;
  return SUCCESS;
}
uint32_t IOIteratorNext(uint32_t iterator) {
  if (left[iterator - ITERATORS]-- <= 0) return 0;
  live_handles++;
  return SERVICE;
}
int32_t IOObjectRelease(uint32_t object) { live_handles--; return SUCCESS; }
int32_t IORegistryEntryGetRegistryEntryID(uint32_t object, uint64_t *id) { *id = 0x100000234; return SUCCESS; }
value *IORegistryEntryCreateCFProperty(uint32_t object, value *key, void *a, uint32_t options) {
  char name[64] = {0};
  memcpy(name, key->bytes, key->count < 63 ? key->count : 63);
  value *all = properties(), *found = entry(all, name);
  if (found) CFRetain(found);
  CFRelease(all);
  return found;
}
int32_t IORegistryEntryCreateCFProperties(uint32_t object, value **to, void *a, uint32_t options) {
  *to = properties();
  return SUCCESS;
}

// ---- Ports: as much of Mach messages as a notification port needs

enum { PORTS = 0x4000, MESSAGE_MAX = 512, INVALID_RIGHT = 0x1000000a, RCV_INVALID_NAME = 0x10004002 };
typedef struct message { struct message *next; uint32_t size; uint8_t bytes[MESSAGE_MAX]; } message;
typedef struct { int alive; message *first; } port;
static port ports[HANDLES_MAX];
static int ports_made;
static pthread_mutex_t ports_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ports_changed = PTHREAD_COND_INITIALIZER;

static port *port_of(uint32_t name) {
  return name >= PORTS && name < (uint32_t)(PORTS + ports_made) && ports[name - PORTS].alive ? &ports[name - PORTS] : NULL;
}
static int32_t post(uint32_t name, const void *bytes, uint32_t size) {
  if (size > MESSAGE_MAX) abort();
  message *m = calloc(1, sizeof *m);
  m->size = size;
  memcpy(m->bytes, bytes, size);
  memcpy(m->bytes + 4, &size, 4), memcpy(m->bytes + 12, &name, 4);
  pthread_mutex_lock(&ports_lock);
  port *p = port_of(name);
  message **end = p ? &p->first : NULL;
  while (end && *end) end = &(*end)->next;
  if (end) *end = m; else free(m);
  pthread_cond_broadcast(&ports_changed);
  pthread_mutex_unlock(&ports_lock);
  return end ? SUCCESS : INVALID_DEST;
}
int32_t mach_msg(void *header, int32_t options, uint32_t send, uint32_t room, uint32_t name, uint32_t timeout, uint32_t notify) {
  uint32_t to;
  memcpy(&to, (uint8_t *)header + 8, 4);
  if (options & 1) return post(to, header, send);
  pthread_mutex_lock(&ports_lock);
  port *p;
  while ((p = port_of(name)) && !p->first) pthread_cond_wait(&ports_changed, &ports_lock);
  message *m = p ? p->first : NULL;
  if (m) {
    p->first = m->next;
    if (m->size > room) abort();
    memcpy(header, m->bytes, m->size);
    free(m);
  }
  pthread_mutex_unlock(&ports_lock);
  return m ? SUCCESS : RCV_INVALID_NAME;
}
void mach_msg_destroy(void *header) {}
void *IONotificationPortCreate(uint32_t main_port) {
  pthread_mutex_lock(&ports_lock);
  if (ports_made == HANDLES_MAX) abort();
  port *p = &ports[ports_made++];
  p->alive = 1;
  pthread_mutex_unlock(&ports_lock);
  live_handles++;
  return p;
}
uint32_t IONotificationPortGetMachPort(port *p) { return PORTS + (p - ports); }
void IONotificationPortDestroy(port *p) {
  pthread_mutex_lock(&ports_lock);
  if (!p->alive) abort(); // destroyed twice
  p->alive = 0;
  while (p->first) {
    message *m = p->first;
    p->first = m->next;
    free(m);
  }
  pthread_cond_broadcast(&ports_changed);
  pthread_mutex_unlock(&ports_lock);
  live_handles--;
}

// A message as the kernel lays it out for a 64-bit client.
static int32_t notify(uint32_t port, uint32_t type, const uint64_t *reference, uint32_t result, const uint64_t *arguments, uint32_t count) {
  uint8_t bytes[104 + 8 * 16] = {0};
  uint32_t id = 53, content = 4 + 8 * count;
  memcpy(bytes + 20, &id, 4), memcpy(bytes + 24, &content, 4), memcpy(bytes + 28, &type, 4);
  memcpy(bytes + 32, reference, 64), memcpy(bytes + 96, &result, 4), memcpy(bytes + 100, arguments, 8 * count);
  return post(port, bytes, 104 + 8 * count);
}

typedef void (*arrival)(void *context, uint32_t iterator);
static struct { arrival callback; void *context; uint32_t iterator, port; int of_termination; } watches[HANDLES_MAX];
static atomic_int watched;
int32_t IOServiceAddMatchingNotification(port *p, const char *type, value *matching, arrival callback, void *context, uint32_t *iterator) {
  int termination = !strcmp(type, "IOServiceTerminate"), number = watched++;
  if (!termination && strcmp(type, "IOServiceFirstMatch")) abort();
  int32_t result = IOServiceGetMatchingServices(0, matching, iterator);
  if (termination) left[*iterator - ITERATORS] = 0;
  watches[number].callback = callback, watches[number].context = context, watches[number].iterator = *iterator;
  watches[number].port = IONotificationPortGetMachPort(p), watches[number].of_termination = termination;
  return result;
}
void IODispatchCalloutFromMessage(void *unused, const uint8_t *bytes, port *p) {
  uint64_t number;
  memcpy(&number, bytes + 40, 8);
  watches[number].callback(watches[number].context, watches[number].iterator);
}
static void terminate(void) {
  for (int i = 0; i < watched; i++) {
    if (!watches[i].of_termination) continue;
    uint64_t reference[8] = {0, i};
    left[watches[i].iterator - ITERATORS] = 1;
    notify(watches[i].port, 102, reference, 0, NULL, 0);
  }
}

// ---- The user client

typedef struct { char name[4]; uint32_t size; char type[4]; uint8_t attributes, result, value[32]; } key;
static key keys[] = {
  {"#KEY", 4, "ui32", 0x80, 0, {0, 0, 0, 3}},
  {"FNum", 1, "ui8 ", 0x80, 0, {2}},
  {"TC0P", 2, "sp78", 0x80, 0x85, {0}},
};
enum { KEYS = sizeof keys / sizeof *keys };
typedef struct { int opened, references, ever_mapped; uint8_t *buffer; } client;
static client clients[HANDLES_MAX];

// The user client of a connection; NULL for a name that means none.
static client *of(uint32_t connect) {
  uint32_t number = connect - CONNECTIONS;
  return connect >= CONNECTIONS && number < (uint32_t)connections ? &clients[number] : NULL;
}

static uint32_t four(const char *name) { return (uint32_t)name[0] << 24 | name[1] << 16 | name[2] << 8 | name[3]; }
static void method(const uint8_t *in, uint8_t *out) {
  uint32_t name, index;
  memcpy(&name, in, 4), memcpy(&index, in + 44, 4);
  memset(out, 0, 80);
  if (in[42] == 8) {
    if (index >= KEYS) { out[40] = 0xb8; return; }
    name = four(keys[index].name);
    memcpy(out, &name, 4);
    return;
  }
  for (int i = 0; i < KEYS; i++) {
    if (four(keys[i].name) != name) continue;
    uint32_t type = four(keys[i].type);
    if (in[42] == 9) memcpy(out + 28, &keys[i].size, 4), memcpy(out + 32, &type, 4), out[36] = keys[i].attributes;
    else if ((out[40] = keys[i].result) == 0) memcpy(out + 48, keys[i].value, 32);
    return;
  }
  out[40] = 0x84;
}
int32_t IOServiceOpen(uint32_t service, uint32_t task, uint32_t type, uint32_t *connect) {
  if (service != SERVICE) return BAD_ARGUMENT;
  int number = connections++;
  if (number >= HANDLES_MAX) abort();
  clients[number].opened = clients[number].references = 1;
  live_handles++;
  *connect = CONNECTIONS + number;
  return SUCCESS;
}
static void unmap(client *c) {
  if (c->buffer) munmap(c->buffer, getpagesize());
  c->buffer = NULL;
}
int32_t IOConnectAddRef(uint32_t connect) { of(connect)->references++; return SUCCESS; }
int32_t IOConnectRelease(uint32_t connect) {
  client *c = of(connect);
  if (c->references <= 0) abort(); // one release too many
  if (--c->references == 0) live_handles--, c->opened = 0, unmap(c);
  return SUCCESS;
}
int32_t IOConnectSetNotificationPort(uint32_t connect, uint32_t type, uint32_t port, uintptr_t reference) {
  (void)type, (void)port, (void)reference;
  client *c = of(connect);
  return c && c->opened ? UNSUPPORTED : INVALID_DEST;
}
int32_t IOConnectAddClient(uint32_t connect, uint32_t other) {
  client *c = of(connect), *o = of(other);
  if (!c || !c->opened) return INVALID_DEST;
  return o && o->opened ? UNSUPPORTED : BAD_ARGUMENT;
}
int32_t IOConnectGetService(uint32_t connect, uint32_t *service) {
  (void)service;
  client *c = of(connect);
  return c && c->opened ? UNSUPPORTED : INVALID_DEST;
}
int32_t IOConnectSetCFProperties(uint32_t connect, value *properties) {
  client *c = of(connect);
  if (!properties->kind) abort(); // freed
  return c && c->opened ? UNSUPPORTED : INVALID_DEST;
}
int32_t IOConnectTrap6(uint32_t connect, uint32_t index, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uintptr_t f) {
  client *target = of(connect);
  if (!target || !target->opened) return BAD_ARGUMENT;
  // The real one does nothing; here the arguments are seen.
  return index >= 2 ? (int32_t)(a + b * 10 + c * 100 + d * 1000 + e * 10000 + f * 100000) : BAD_ARGUMENT;
}
int32_t IOServiceClose(uint32_t connect) {
  client *c = of(connect);
  if (!c) return INVALID_DEST;
  c->opened = 0;
  return IOConnectRelease(connect);
}
int32_t IOConnectCallMethod(uint32_t connect, uint32_t selector, const uint64_t *in, uint32_t in_count, const void *s, size_t s_size,
                            uint64_t *out, uint32_t *out_count, void *t, size_t *t_size) {
  if (in_count > 16) return ARRAY_TOO_LARGE;
  client *c = of(connect);
  if (!c || !c->opened) return INVALID_DEST;
  if (selector == 4) return terminate(), SUCCESS;
  if (selector != 2 || s_size != 80 || *t_size != 80) return BAD_ARGUMENT;
  method(s, t);
  return SUCCESS;
}
// Selector 3: the first scalar says how many completions; each has its number and the other scalars.
int32_t IOConnectCallAsyncMethod(uint32_t connect, uint32_t selector, uint32_t wake, uint64_t *reference, uint32_t count, const uint64_t *in,
                                 uint32_t in_count, const void *s, size_t s_size, uint64_t *out, uint32_t *out_count, void *t, size_t *t_size) {
  client *c = of(connect);
  if (count > 8 || in_count > 16) return ARRAY_TOO_LARGE;
  if (!c || !c->opened) return INVALID_DEST;
  if (wake && !port_of(wake)) return INVALID_RIGHT;
  if (reference && !count) return BAD_ARGUMENT;
  if (selector != 3 || !in_count) return UNSUPPORTED;
  uint64_t kept[8] = {0}, arguments[16];
  memcpy(kept, reference, 8 * count);
  kept[0] = 0;
  memcpy(arguments, in, 8 * in_count);
  for (arguments[0] = 0; wake && arguments[0] < in[0]; arguments[0]++) notify(wake, 150, kept, 0xe00002eb, arguments, in_count);
  return SUCCESS;
}
int32_t IOConnectMapMemory64(uint32_t connect, uint32_t type, uint32_t task, uint64_t *at, uint64_t *size, uint32_t options) {
  client *c = of(connect);
  if (!c || !c->opened) return INVALID_DEST;
  if (type != 0) return BAD_ARGUMENT;
  if (!c->buffer) c->buffer = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  c->ever_mapped = 1;
  *at = (uint64_t)(uintptr_t)c->buffer, *size = 128;
  return SUCCESS;
}
int32_t IOConnectUnmapMemory64(uint32_t connect, uint32_t type, uint32_t task, uint64_t at) {
  client *c = of(connect);
  if (!c || !c->opened) return c && c->ever_mapped ? BAD_ARGUMENT : INVALID_DEST;
  if (type != 0) return UNSUPPORTED;
  if (!c->buffer) return BAD_ARGUMENT;
  unmap(c);
  return SUCCESS;
}

__attribute__((destructor)) static void end(void) {
  if (live_values || live_handles || yes.references != 1 || no.references != 1) {
    fprintf(stderr, "fake IOKit: %ld values and %ld handles left\n", live_values, live_handles);
    fflush(stderr);
    _exit(99);
  }
}
