// The null driver once more, as one writes it for DriverKit: the twin of `scenarios/src/null_driver/dext.rs`,
// and with a shared buffer besides.

#include "NullDriver.h"

#include <DriverKit/OSSharedPtr.h>

namespace {

struct DataStruct {
  uint64_t foo;
  uint64_t bar;
};

struct OversizedDataStruct {
  DataStruct data;
  uint64_t large[511];
};

struct Request {
  uint64_t due;
  DataStruct data;
};

enum : uint64_t { kScalar, kStruct, kCheckedScalar, kCheckedStruct, kRegisterAsync, kAsyncRequest, kMethods };

enum : uint64_t { kRegistered = 1, kRequested = 2 };

constexpr uint64_t kRequestTime = 5000000000;
constexpr uint32_t kRequestsMax = 4096;
constexpr uint64_t kSharedBytes = 128;
constexpr char kGreeting[] = "a buffer of C++";

DataStruct Answered(DataStruct data) { return {data.foo + 1, data.bar + 10}; }

// As much of the large structure as there is.
size_t Fitting(IOMemoryMap *map) {
  uint64_t length = map->GetLength();
  return length < sizeof(OversizedDataStruct) ? length : sizeof(OversizedDataStruct);
}

// Anything shorter than the small structure is refused.
bool Small(OSData *input, DataStruct *data) {
  if (input == nullptr || input->getLength() < sizeof *data) return false;
  memcpy(data, input->getBytesNoCopy(), sizeof *data);
  return true;
}

template <kern_return_t (NullDriverUserClient::*method)(IOUserClientMethodArguments *)>
kern_return_t Static(OSObject *target, void *reference, IOUserClientMethodArguments *arguments) {
  (void)reference;
  return (static_cast<NullDriverUserClient *>(target)->*method)(arguments);
}

constexpr uint32_t kAny = 0xffffffff;

// The first two have no entry: their methods look at the arguments themselves.
const IOUserClientMethodDispatch kDispatch[kMethods] = {
    {},
    {},
    {Static<&NullDriverUserClient::HandleScalar>, 0, 16, 0, 16, 0},
    {Static<&NullDriverUserClient::HandleStruct>, 0, 0, sizeof(DataStruct), 0, sizeof(DataStruct)},
    {Static<&NullDriverUserClient::HandleRegister>, 1, 0, sizeof(DataStruct), 0, sizeof(DataStruct)},
    {Static<&NullDriverUserClient::HandleRequest>, kAny, 0, sizeof(DataStruct), 0, 0},
};

}  // namespace

struct NullDriverUserClient_IVars {
  IODispatchQueue *queue;
  IOTimerDispatchSource *timer;
  OSAction *due;
  OSAction *registered;
  IOBufferMemoryDescriptor *shared;
  // A ring of those that wait for their time, oldest first.
  Request *requests;
  uint32_t first;
  uint32_t count;
};

kern_return_t IMPL(NullDriver, NewUserClient) {
  (void)type;
  IOService *client = nullptr;
  kern_return_t ret = Create(this, "UserClientProperties", &client);
  if (ret != kIOReturnSuccess) return ret;
  *userClient = OSDynamicCast(IOUserClient, client);
  if (*userClient == nullptr) {
    client->release();
    return kIOReturnError;
  }
  return kIOReturnSuccess;
}

bool NullDriverUserClient::init() {
  if (!super::init()) return false;
  ivars = IONewZero(NullDriverUserClient_IVars, 1);
  return ivars != nullptr;
}

void NullDriverUserClient::free() {
  if (ivars != nullptr) {
    OSSafeReleaseNULL(ivars->shared);
    OSSafeReleaseNULL(ivars->registered);
    OSSafeReleaseNULL(ivars->due);
    OSSafeReleaseNULL(ivars->timer);
    OSSafeReleaseNULL(ivars->queue);
    IOSafeDeleteNULL(ivars->requests, Request, kRequestsMax);
  }
  IOSafeDeleteNULL(ivars, NullDriverUserClient_IVars, 1);
  super::free();
}

kern_return_t IMPL(NullDriverUserClient, Start) {
  kern_return_t ret = Start(provider, SUPERDISPATCH);
  if (ret != kIOReturnSuccess) return ret;
  if (OSDynamicCast(NullDriver, provider) == nullptr) return kIOReturnBadArgument;
  ivars->requests = IONewZero(Request, kRequestsMax);
  if (ivars->requests == nullptr) return kIOReturnNoMemory;
  ret = IODispatchQueue::Create("NullDriverUserClient", 0, 0, &ivars->queue);
  if (ret != kIOReturnSuccess) return ret;
  ret = IOTimerDispatchSource::Create(ivars->queue, &ivars->timer);
  if (ret != kIOReturnSuccess) return ret;
  ret = CreateActionRequestIsDue(0, &ivars->due);
  if (ret != kIOReturnSuccess) return ret;
  return ivars->timer->SetHandler(ivars->due);
}

kern_return_t IMPL(NullDriverUserClient, Stop) {
  if (ivars->timer != nullptr) ivars->timer->Cancel([] {});
  OSSafeReleaseNULL(ivars->registered);
  return Stop(provider, SUPERDISPATCH);
}

kern_return_t NullDriverUserClient::ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
                                                   const IOUserClientMethodDispatch *dispatch,
                                                   OSObject *target, void *reference) {
  switch (selector) {
    case kScalar:
      return HandleScalar(arguments);
    case kStruct:
      return HandleStruct(arguments);
    default:
      break;
  }
  if (selector < kMethods) {
    dispatch = &kDispatch[selector];
    target = this;
  }
  return super::ExternalMethod(selector, arguments, dispatch, target, reference);
}

kern_return_t IMPL(NullDriverUserClient, CopyClientMemoryForType) {
  if (type != 0) return CopyClientMemoryForType(type, options, memory, SUPERDISPATCH);
  if (ivars->shared == nullptr) {
    kern_return_t ret =
        IOBufferMemoryDescriptor::Create(kIOMemoryDirectionInOut, kSharedBytes, 8, &ivars->shared);
    if (ret != kIOReturnSuccess) return ret;
    IOAddressSegment range = {};
    ret = ivars->shared->GetAddressRange(&range);
    if (ret != kIOReturnSuccess) return ret;
    memcpy(reinterpret_cast<char *>(range.address), kGreeting, sizeof kGreeting);
  }
  ivars->shared->retain();
  *memory = ivars->shared;
  return kIOReturnSuccess;
}

kern_return_t NullDriverUserClient::HandleScalar(IOUserClientMethodArguments *arguments) {
  uint32_t count = arguments->scalarInputCount;
  if (count > arguments->scalarOutputCount) count = arguments->scalarOutputCount;
  for (uint32_t i = 0; i < count; i++) arguments->scalarOutput[i] = arguments->scalarInput[i] + 1;
  arguments->scalarOutputCount = count;
  return kIOReturnSuccess;
}

kern_return_t NullDriverUserClient::HandleStruct(IOUserClientMethodArguments *arguments) {
  static_assert(sizeof(OversizedDataStruct) == 4104, "more than fits a message");
  OversizedDataStruct input = {};
  if (arguments->structureInput != nullptr) {
    if (!Small(arguments->structureInput, &input.data)) return kIOReturnBadArgument;
  } else if (arguments->structureInputDescriptor != nullptr) {
    OSSharedPtr<IOMemoryMap> map;
    kern_return_t ret = arguments->structureInputDescriptor->CreateMapping(0, 0, 0, 0, 0, map.attach());
    if (ret != kIOReturnSuccess) return ret;
    memcpy(&input, reinterpret_cast<const void *>(map->GetAddress()), Fitting(map.get()));
  } else {
    return kIOReturnBadArgument;
  }
  input.data = Answered(input.data);
  if (arguments->structureOutputDescriptor == nullptr) {
    arguments->structureOutput = OSData::withBytes(&input.data, sizeof input.data);
    return kIOReturnSuccess;
  }
  OSSharedPtr<IOMemoryMap> map;
  kern_return_t ret = arguments->structureOutputDescriptor->CreateMapping(0, 0, 0, 0, 0, map.attach());
  if (ret != kIOReturnSuccess) return ret;
  memcpy(reinterpret_cast<void *>(map->GetAddress()), &input, Fitting(map.get()));
  return kIOReturnSuccess;
}

kern_return_t NullDriverUserClient::HandleRegister(IOUserClientMethodArguments *arguments) {
  DataStruct data = {};
  if (!Small(arguments->structureInput, &data)) return kIOReturnBadArgument;
  OSSharedPtr<OSAction> action(arguments->completion, OSRetain);
  OSSafeReleaseNULL(ivars->registered);
  ivars->registered = arguments->completion;
  ivars->registered->retain();
  DataStruct answer = Answered(data);
  arguments->structureOutput = OSData::withBytes(&answer, sizeof answer);
  OSSharedPtr<NullDriverUserClient> self(this, OSRetain);
  ivars->queue->DispatchAsync([self, action, answer] {
    IOUserClientAsyncArgumentsArray results = {kRegistered, answer.foo, answer.bar};
    self->AsyncCompletion(action.get(), kIOReturnSuccess, results, 3);
  });
  return kIOReturnSuccess;
}

kern_return_t NullDriverUserClient::HandleRequest(IOUserClientMethodArguments *arguments) {
  DataStruct data = {};
  if (!Small(arguments->structureInput, &data)) return kIOReturnBadArgument;
  // Apple's client expects kIOReturnNotReady; this is what Apple's dext returns.
  if (ivars->registered == nullptr) return kIOReturnError;
  if (ivars->count == kRequestsMax) return kIOReturnNoResources;
  uint64_t due = mach_absolute_time() + kRequestTime;
  ivars->requests[(ivars->first + ivars->count++) % kRequestsMax] = {due, data};
  if (ivars->count == 1) ivars->timer->WakeAtTime(kIOTimerClockMachAbsoluteTime, due, 0);
  return kIOReturnSuccess;
}

void NullDriverUserClient::RequestIsDue(OSAction *action, uint64_t time) {
  (void)action;
  while (ivars->count > 0 && ivars->requests[ivars->first].due <= time) {
    DataStruct data = ivars->requests[ivars->first].data;
    ivars->first = (ivars->first + 1) % kRequestsMax;
    ivars->count--;
    IOUserClientAsyncArgumentsArray results = {kRequested, data.foo, data.bar};
    if (ivars->registered != nullptr) AsyncCompletion(ivars->registered, kIOReturnSuccess, results, 3);
  }
  if (ivars->count > 0) {
    ivars->timer->WakeAtTime(kIOTimerClockMachAbsoluteTime, ivars->requests[ivars->first].due, 0);
  }
}

DEXTAPE_DEXT(NullDriver, "com.example.apple-samplecode.dext-to-user-client",
             DEXTAPE_CLIENT("UserClientProperties", NullDriverUserClient))
