/* IODispatchQueue: a serial queue. A block is a lambda here. */
#ifndef DEXTAPE_DRIVERKIT_IODISPATCHQUEUE_H
#define DEXTAPE_DRIVERKIT_IODISPATCHQUEUE_H

#include <DriverKit/OSObject.h>

enum { kIODispatchQueueReentrant = 1 };

#define kIOServiceDefaultQueueName "Default"
#define kIOUserClientQueueNameExternalMethod "IOUserClientQueueExternalMethod"

typedef void (*IODispatchFunction)(void *context);

class IODispatchQueue : public OSObject {
 public:
  static constexpr uint32_t kDextapeKind = DEXTAPE_QUEUE;

  static kern_return_t Create(const char *name, uint64_t options, uint64_t priority,
                              IODispatchQueue **queue) {
    (void)priority;
    return dextape::make(
        queue, [&](dextape_handle *out) { return dextape::host->queue_create(name, options, out); });
  }
  template <class F> void DispatchAsync(F &&block) { dispatch(static_cast<F &&>(block), 0); }
  template <class F> void DispatchSync(F &&block) { dispatch(static_cast<F &&>(block), 1); }
  void DispatchAsync_f(void *context, IODispatchFunction function) {
    dispatch([=] { function(context); }, 0);
  }
  void DispatchSync_f(void *context, IODispatchFunction function) {
    dispatch([=] { function(context); }, 1);
  }
  template <class F> kern_return_t Cancel(F &&done) {
    return dextape::host->queue_cancel(dextape::handle(this), dextape::callback(static_cast<F &&>(done)));
  }
  bool OnQueue() const { return dextape::host->queue_on(dextape::handle(this)) != 0; }

 private:
  template <class F> void dispatch(F &&block, uint32_t sync) {
    dextape::host->queue_dispatch(dextape::handle(this), dextape::callback(static_cast<F &&>(block)), sync);
  }
};

#endif
