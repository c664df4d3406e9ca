/* OSAction: who is told when something is done. */
#ifndef DEXTAPE_DRIVERKIT_OSACTION_H
#define DEXTAPE_DRIVERKIT_OSACTION_H

#include <DriverKit/OSObject.h>

class OSAction : public OSObject {
 public:
  static constexpr uint32_t kDextapeKind = DEXTAPE_ACTION;

  /* The bytes that the dext keeps at an action of its own; nullptr for a client's. */
  void *GetReference() const { return dextape::host->action_reference(dextape::handle(this)); }
  template <class F> kern_return_t Cancel(F &&done) {
    dextape::host->action_cancel(dextape::handle(this));
    if constexpr (!std::is_null_pointer_v<std::decay_t<F>>) done();
    return kIOReturnSuccess;
  }
};

#endif
