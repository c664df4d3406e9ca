/* IOTimerDispatchSource: a timer on a queue. All its clocks are the schedule's, in nanoseconds. */
#ifndef DEXTAPE_DRIVERKIT_IOTIMERDISPATCHSOURCE_H
#define DEXTAPE_DRIVERKIT_IOTIMERDISPATCHSOURCE_H

#include <DriverKit/IODispatchQueue.h>
#include <DriverKit/IOLib.h>
#include <DriverKit/OSAction.h>

enum {
  kIOTimerClockUptimeRaw = 1,
  kIOTimerClockMonotonicRaw = 2,
  kIOTimerClockMachAbsoluteTime = kIOTimerClockUptimeRaw,
  kIOTimerClockMachContinuousTime = kIOTimerClockMonotonicRaw
};

class IOTimerDispatchSource : public OSObject {
 public:
  static constexpr uint32_t kDextapeKind = DEXTAPE_TIMER;

  static kern_return_t Create(IODispatchQueue *queue, IOTimerDispatchSource **source) {
    return dextape::make(source, [&](dextape_handle *out) {
      return dextape::host->timer_create(dextape::handle(queue), out);
    });
  }
  kern_return_t SetHandler(OSAction *action) {
    return dextape::host->timer_set_action(dextape::handle(this), dextape::handle(action));
  }
  kern_return_t WakeAtTime(uint64_t options, uint64_t deadline, uint64_t leeway) {
    (void)options, (void)leeway;
    return dextape::host->timer_wake(dextape::handle(this), deadline);
  }
  kern_return_t SetEnable(bool enable) {
    return dextape::host->timer_enable(dextape::handle(this), enable);
  }
  template <class F> kern_return_t Cancel(F &&done) {
    return dextape::host->timer_cancel(dextape::handle(this), dextape::callback(static_cast<F &&>(done)));
  }
};

#endif
