/* IOService: the driver itself, an object of C++. */
#ifndef DEXTAPE_DRIVERKIT_IOSERVICE_H
#define DEXTAPE_DRIVERKIT_IOSERVICE_H

#include <DriverKit/IODispatchQueue.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/IOMemoryDescriptor.h>
#include <DriverKit/IOTimerDispatchSource.h>
#include <DriverKit/OSAction.h>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>

class IOUserClient;

namespace DEXTAPE_HIDDEN dextape {
using Factory = IOService *(*)();

/* What the library knows: its classes by name, and the objects that are there. */
struct Known {
  std::mutex lock;
  std::map<std::string, Factory> classes;
  std::set<const IOService *> objects;
};

inline Known &known() {
  // Never destroyed: objects may outlive the end of main.
  static Known *known = new Known;
  return *known;
}
}  // namespace dextape

class IOService : public OSObject {
 public:
  IOService() {
    std::lock_guard<std::mutex> hold(dextape::known().lock);
    dextape::known().objects.insert(this);
  }
  virtual ~IOService() {
    std::lock_guard<std::mutex> hold(dextape::known().lock);
    dextape::known().objects.erase(this);
  }
  IOService(const IOService &) = delete;
  IOService &operator=(const IOService &) = delete;

  virtual bool init() { return true; }
  /* The last reference is gone. The object itself goes when this has returned. */
  virtual void free() {}

  virtual kern_return_t Start(IOService *provider) {
    (void)provider;
    return kIOReturnSuccess;
  }
  /* A Stop that is never passed to this one keeps the service from being torn down. */
  virtual kern_return_t Stop(IOService *provider) {
    (void)provider;
    dextape::host->super_stop(this);
    return kIOReturnSuccess;
  }
  virtual kern_return_t NewUserClient(uint32_t type, IOUserClient **userClient) {
    (void)type, (void)userClient;
    return dextape::host->base_new_user_client();
  }

  kern_return_t RegisterService() { return kIOReturnSuccess; }

  /* Makes the object that a property of the personality describes: DEXTAPE_DEXT declares those. */
  kern_return_t Create(IOService *provider, const char *propertiesKey, IOService **result) {
    if (result == nullptr) return kIOReturnBadArgument;
    *result = nullptr;
    if (provider != this) return kIOReturnUnsupported;
    char name[256] = "";
    kern_return_t made = dextape::host->create(propertiesKey, name, sizeof name);
    if (made != kIOReturnSuccess) return made;
    auto factory = dextape::known().classes.find(name);
    if (factory == dextape::known().classes.end()) return kIOReturnBadArgument;
    IOService *object = factory->second();
    if (!object->init()) {
      object->release();
      return kIOReturnNoMemory;
    }
    *result = object;
    return kIOReturnSuccess;
  }

  kern_return_t SetDispatchQueue(const char *name, IODispatchQueue *queue) {
    queue->retain();
    IODispatchQueue *&place = queues_[name];
    OSSafeReleaseNULL(place);
    place = queue;
    return kIOReturnSuccess;
  }
  kern_return_t CopyDispatchQueue(const char *name, IODispatchQueue **queue) {
    auto own = queues_.find(name);
    if (own != queues_.end()) {
      own->second->retain();
      *queue = own->second;
      return kIOReturnSuccess;
    }
    if (strcmp(name, kIOServiceDefaultQueueName) != 0) {
      *queue = nullptr;
      return kIOReturnNotFound;
    }
    return dextape::make(queue, [](dextape_handle *out) { return dextape::host->queue_copy_default(out); });
  }

  /* For dextape. */
  dextape_handle dextape_queue(const char *name) {
    auto own = queues_.find(name);
    return own == queues_.end() ? 0 : dextape::handle(own->second);
  }

 private:
  friend class OSObject;
  void dextape_retain() { references_++; }
  void dextape_release() {
    if (--references_ > 0) return;
    free();
    for (auto &queue : queues_) queue.second->release();
    delete this;
  }

  std::atomic<uint32_t> references_{1};
  std::map<std::string, IODispatchQueue *> queues_;
};

inline void OSObject::retain() const {
  if (dextape::is_handle(this))
    dextape::host->retain(dextape::handle(this));
  else
    const_cast<IOService *>(static_cast<const IOService *>(this))->dextape_retain();
}

inline void OSObject::release() const {
  if (dextape::is_handle(this))
    dextape::host->release(dextape::handle(this));
  else
    const_cast<IOService *>(static_cast<const IOService *>(this))->dextape_release();
}

namespace DEXTAPE_HIDDEN dextape {
template <class T, class U> T *dynamic(U *object) {
  if (object == nullptr) return nullptr;
  if constexpr (std::is_base_of_v<IOService, T>) {
    if (is_handle(object)) return nullptr;
    return dynamic_cast<T *>(static_cast<IOService *>(static_cast<OSObject *>(object)));
  } else {
    if (!is_handle(object)) return nullptr;
    uint32_t kind = host->kind(handle(object));
    bool is = kind == T::kDextapeKind;
    // A buffer is a descriptor, too.
    if (T::kDextapeKind == DEXTAPE_DESCRIPTOR && kind == DEXTAPE_BUFFER) is = true;
    return is ? dextape::object<T>(handle(object)) : nullptr;
  }
}

/* Whether an object of the library is still there. */
inline bool is_there(const IOService *object) {
  std::lock_guard<std::mutex> hold(known().lock);
  return known().objects.count(object) != 0;
}

/* An action that calls a method with the action and the time, as long as its object is there. */
template <class T>
kern_return_t timer_action(T *target, void (T::*method)(OSAction *, uint64_t), size_t reference,
                           OSAction **action) {
  return make(action, [&](dextape_handle *out) {
    auto call = [target, method](dextape_handle own, uint64_t time) {
      if (is_there(target)) (target->*method)(object<OSAction>(own), time);
    };
    return host->action_create_timer(callback(call), reference, out);
  });
}
}  // namespace dextape

#define OSDynamicCast(type, object) (::dextape::dynamic<type>(object))
#define OSRequiredCast(type, object) (::dextape::dynamic<type>(object))

/* In the class of a driver or user client: what iig adds to it. */
#define DEXTAPE_CLASS(name, base)                                                                  \
 public:                                                                                           \
  using super = base;                                                                              \
  struct name##_IVars *ivars = nullptr;                                                            \
  using base::Start;                                                                               \
  using base::Stop;                                                                                \
  using base::NewUserClient;                                                                       \
  kern_return_t Start(IOService *provider, ::dextape::Super) { return base::Start(provider); }     \
  kern_return_t Stop(IOService *provider, ::dextape::Super) { return base::Stop(provider); }       \
  kern_return_t NewUserClient(uint32_t type, IOUserClient **client, ::dextape::Super) {            \
    return base::NewUserClient(type, client);                                                      \
  }

/* In the class of a user client, besides: CopyClientMemoryForType with SUPERDISPATCH. */
#define DEXTAPE_CLIENT_CLASS(name, base)                                                           \
  DEXTAPE_CLASS(name, base)                                                                        \
  using base::CopyClientMemoryForType;                                                             \
  kern_return_t CopyClientMemoryForType(uint64_t type, uint64_t *options,                          \
                                        IOMemoryDescriptor **memory, ::dextape::Super) {           \
    return base::CopyClientMemoryForType(type, options, memory);                                   \
  }

/* In a class: what makes the actions of a method of TYPE(IOTimerDispatchSource::TimerOccurred). */
#define DEXTAPE_CREATE_ACTION(name, method)                                                        \
  kern_return_t CreateAction##method(size_t referenceSize, OSAction **action) {                    \
    return ::dextape::timer_action(this, &name::method, referenceSize, action);                    \
  }

/* The same, with the method itself. */
#define DEXTAPE_TIMER_OCCURRED(name, method)                                                       \
  void method(OSAction *action, uint64_t time);                                                    \
  DEXTAPE_CREATE_ACTION(name, method)

#endif
