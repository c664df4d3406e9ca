/* The classes of the null driver: by hand what iig makes of an .iig file. */
#ifndef NULLDRIVER_H
#define NULLDRIVER_H

#include <DriverKit/DriverKit.h>

class NullDriver : public IOService {
  DEXTAPE_CLASS(NullDriver, IOService)
 public:
  virtual kern_return_t NewUserClient(uint32_t type, IOUserClient **userClient) override;
};

class NullDriverUserClient : public IOUserClient {
  DEXTAPE_CLIENT_CLASS(NullDriverUserClient, IOUserClient)
 public:
  virtual bool init() override;
  virtual void free() override;
  virtual kern_return_t Start(IOService *provider) override;
  virtual kern_return_t Stop(IOService *provider) override;
  virtual kern_return_t ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
                                       const IOUserClientMethodDispatch *dispatch, OSObject *target,
                                       void *reference) override LOCALONLY;
  virtual kern_return_t CopyClientMemoryForType(uint64_t type, uint64_t *options,
                                                IOMemoryDescriptor **memory) override;

  kern_return_t HandleScalar(IOUserClientMethodArguments *arguments) LOCALONLY;
  kern_return_t HandleStruct(IOUserClientMethodArguments *arguments) LOCALONLY;
  kern_return_t HandleRegister(IOUserClientMethodArguments *arguments) LOCALONLY;
  kern_return_t HandleRequest(IOUserClientMethodArguments *arguments) LOCALONLY;

  DEXTAPE_TIMER_OCCURRED(NullDriverUserClient, RequestIsDue)
};

#endif
