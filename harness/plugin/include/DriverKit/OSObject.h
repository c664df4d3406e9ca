/* OSObject, and what all classes need. An object of the mock is no memory of this program: its pointer is
 * a number that only dextape understands, and its class has neither data nor virtual functions. */
#ifndef DEXTAPE_DRIVERKIT_OSOBJECT_H
#define DEXTAPE_DRIVERKIT_OSOBJECT_H

#include <DriverKit/IOReturn.h>
#include <dextape/blocks.h>
#include <dextape/plugin.h>
#include <stddef.h>
#include <stdint.h>
#include <type_traits>

static_assert(sizeof(void *) == 8, "a plug-in of dextape has 64 bits");

/* Words of an .iig file that say nothing here. */
#define KERNEL
#define LOCAL
#define LOCALONLY
#define NATIVE
#define LOCALHOST
#define INVOKEREPLY
#define REPLY
#define PORTMAKESEND
#define TYPE(method)
#define TARGET
#define QUEUENAME(name)
#define EXTENDS(class_name)

/* The definition of a method that is dispatched: `kern_return_t IMPL(NullDriver, Start)`. The names of its
 * arguments are those of Apple's headers; those of a method of one's own are said by a macro
 * DEXTAPE_ARGS_<method>. */
#define IMPL(class_name, method) class_name::method(DEXTAPE_ARGS_##method)
#define DEXTAPE_ARGS_Start IOService *provider
#define DEXTAPE_ARGS_Stop IOService *provider
#define DEXTAPE_ARGS_NewUserClient uint32_t type, IOUserClient **userClient
#define DEXTAPE_ARGS_CopyClientMemoryForType uint64_t type, uint64_t *options, IOMemoryDescriptor **memory

/* The last argument of a call that goes to the base: `Start(provider, SUPERDISPATCH)`. */
#define SUPERDISPATCH (::dextape::Super{})

/* Every library has its own, also where several are loaded. */
#define DEXTAPE_HIDDEN [[gnu::visibility("hidden")]]

namespace DEXTAPE_HIDDEN dextape {
struct Super {};

/* The functions of dextape, once the library is loaded. */
inline const dextape_host *host = nullptr;

inline bool is_handle(const void *pointer) { return reinterpret_cast<uintptr_t>(pointer) >> 56 == 0xde; }
inline dextape_handle handle(const void *pointer) { return reinterpret_cast<uintptr_t>(pointer); }
template <class T> T *object(dextape_handle handle) {
  return reinterpret_cast<T *>(static_cast<uintptr_t>(handle));
}

/* Stores a new object where a dext has it; nullptr where there is none. */
template <class T, class Make> kern_return_t make(T **out, Make &&make) {
  if (out == nullptr) return kIOReturnBadArgument;
  dextape_handle made = 0;
  kern_return_t result = make(&made);
  *out = object<T>(made);
  return result;
}

/* A function of C++ as dextape calls it; it is destroyed once. */
template <class F> dextape_callback callback(F &&function) {
  using Kept = std::decay_t<F>;
  if constexpr (std::is_null_pointer_v<Kept>) {
    // Nobody is to be told.
    return callback([] {});
  } else {
#ifdef __BLOCKS__
    if constexpr (blocks::is_block<Kept>::value) {
      // One on the stack goes with its function.
      return {_Block_copy(reinterpret_cast<const void *>(function)),
              [](void *context, dextape_handle, uint64_t) noexcept { reinterpret_cast<Kept>(context)(); },
              [](void *context) noexcept { _Block_release(context); }};
    }
#endif
    return {new Kept(static_cast<F &&>(function)),
            [](void *context, dextape_handle action, uint64_t value) noexcept {
              if constexpr (std::is_invocable_v<Kept &, dextape_handle, uint64_t>)
                (*static_cast<Kept *>(context))(action, value);
              else
                (*static_cast<Kept *>(context))();
            },
            [](void *context) noexcept { delete static_cast<Kept *>(context); }};
  }
}
}  // namespace dextape

class IOService;

class OSObject {
 public:
  inline void retain() const;
  inline void release() const;
};

#define OSSafeReleaseNULL(pointer) \
  do {                             \
    if ((pointer) != nullptr) {    \
      (pointer)->release();        \
      (pointer) = nullptr;         \
    }                              \
  } while (0)
#define OSSafeRelease(pointer)                    \
  do {                                            \
    if ((pointer) != nullptr) (pointer)->release(); \
  } while (0)

#endif
