/* What a compiler with blocks (clang -fblocks) calls, so that a plug-in needs no further library: the ABI that
 * clang documents, with plain reference counts. A dext includes <DriverKit/DriverKit.h> instead. */
#ifndef DEXTAPE_BLOCKS_H
#define DEXTAPE_BLOCKS_H
#ifdef __BLOCKS__

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <type_traits>

namespace [[gnu::visibility("hidden")]] dextape {
namespace blocks {

/* Flags of blocks and of variables of __block: the count is in the lowest 16 bits, in steps of 2. */
enum : int32_t { kCount = 0xffff, kOne = 2, kOnHeap = 1 << 24, kHelpers = 1 << 25, kGlobal = 1 << 28 };
/* What a helper is told of a field. */
enum : int { kObject = 3, kBlock = 7, kByref = 8, kFromByref = 128 };

struct Descriptor {
  unsigned long reserved, size;
  /* Only with kHelpers. */
  void (*copy)(void *to, const void *from);
  void (*dispose)(const void *block);
};

struct Layout {
  void *isa;
  int32_t flags, reserved;
  void (*invoke)(void *, ...);
  Descriptor *descriptor;
};

/* A variable of __block. */
struct Byref {
  void *isa;
  Byref *forwarding;
  int32_t flags;
  uint32_t size;
  /* Only with kHelpers. */
  void (*keep)(Byref *to, Byref *from);
  void (*destroy)(Byref *byref);
};

inline void retain(int32_t *flags) { __atomic_fetch_add(flags, kOne, __ATOMIC_RELAXED); }
/* True where it was the last. */
inline bool release(int32_t *flags) {
  return (__atomic_sub_fetch(flags, kOne, __ATOMIC_ACQ_REL) & kCount) == 0;
}

template <class T> T *allocate(size_t size) {
  void *memory = malloc(size);
  if (memory == nullptr) abort();
  return static_cast<T *>(memory);
}

inline void *copy(const void *from, void *heap_class) {
  auto *block = static_cast<Layout *>(const_cast<void *>(from));
  if (block == nullptr || (block->flags & kGlobal) != 0) return block;
  if ((block->flags & kOnHeap) != 0) {
    retain(&block->flags);
    return block;
  }
  auto *made = allocate<Layout>(block->descriptor->size);
  memcpy(made, block, block->descriptor->size);
  made->isa = heap_class;
  made->flags = (block->flags & ~kCount) | kOnHeap | kOne;
  if ((made->flags & kHelpers) != 0) made->descriptor->copy(made, block);
  return made;
}

inline void dispose(const void *of) {
  auto *block = static_cast<Layout *>(const_cast<void *>(of));
  if (block == nullptr || (block->flags & kOnHeap) == 0 || !release(&block->flags)) return;
  if ((block->flags & kHelpers) != 0) block->descriptor->dispose(block);
  free(block);
}

/* The variable moves to the heap once; all blocks that use it share it from then on. */
inline Byref *copy_byref(Byref *from) {
  Byref *there = from->forwarding;
  if ((there->flags & kOnHeap) != 0) {
    retain(&there->flags);
    return there;
  }
  auto *made = allocate<Byref>(from->size);
  memcpy(made, from, from->size);
  /* For the block, and for the frame that it was declared in. */
  made->flags = (from->flags & ~kCount) | kOnHeap | 2 * kOne;
  made->forwarding = made;
  from->forwarding = made;
  if ((from->flags & kHelpers) != 0) from->keep(made, from);
  return made;
}

inline void dispose_byref(Byref *of) {
  Byref *byref = of->forwarding;
  if ((byref->flags & kOnHeap) == 0 || !release(&byref->flags)) return;
  if ((byref->flags & kHelpers) != 0) byref->destroy(byref);
  free(byref);
}

template <class T> struct is_block : std::false_type {};
template <class R, class... A> struct is_block<R (^)(A...)> : std::true_type {};

}  // namespace blocks
}  // namespace dextape

/* Each source defines them, and the linker takes one of each: the compiler asks for them by name. */
#define DEXTAPE_BLOCKS_SHARED extern "C" __attribute__((weak, visibility("hidden")))

DEXTAPE_BLOCKS_SHARED void *_NSConcreteStackBlock[32] = {};
DEXTAPE_BLOCKS_SHARED void *_NSConcreteGlobalBlock[32] = {};
DEXTAPE_BLOCKS_SHARED void *_NSConcreteMallocBlock[32] = {};

DEXTAPE_BLOCKS_SHARED void *_Block_copy(const void *block) {
  return ::dextape::blocks::copy(block, _NSConcreteMallocBlock);
}
DEXTAPE_BLOCKS_SHARED void _Block_release(const void *block) { ::dextape::blocks::dispose(block); }

DEXTAPE_BLOCKS_SHARED void _Block_object_assign(void *to, const void *object, const int field) {
  using namespace ::dextape::blocks;
  auto *place = static_cast<const void **>(to);
  if ((field & kFromByref) != 0 || (field & (kBlock | kByref)) == kObject)
    *place = object;
  else if ((field & kByref) != 0)
    *place = copy_byref(static_cast<Byref *>(const_cast<void *>(object)));
  else
    *place = _Block_copy(object);
}

DEXTAPE_BLOCKS_SHARED void _Block_object_dispose(const void *object, const int field) {
  using namespace ::dextape::blocks;
  if ((field & kFromByref) != 0 || (field & (kBlock | kByref)) == kObject) return;
  if ((field & kByref) != 0)
    dispose_byref(static_cast<Byref *>(const_cast<void *>(object)));
  else
    _Block_release(object);
}

#undef DEXTAPE_BLOCKS_SHARED

#endif
#endif
