/* IOUserClient: the dext's side of one connection. */
#ifndef DEXTAPE_DRIVERKIT_IOUSERCLIENT_H
#define DEXTAPE_DRIVERKIT_IOUSERCLIENT_H

#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <DriverKit/IOService.h>
#include <DriverKit/OSData.h>

enum { kIOUserClientMemoryReadOnly = 0x00000001 };

#define kIOUserClientScalarArrayCountMax 16
#define kIOUserClientAsyncReferenceCountMax 16
#define kIOUserClientAsyncArgumentsCountMax 16
#define kIOUserClientVariableStructureSize 0xffffffff

typedef uint64_t IOUserClientAsyncArgumentsArray[kIOUserClientAsyncArgumentsCountMax];
typedef uint64_t IOUserClientScalarArray[kIOUserClientScalarArrayCountMax];

struct IOUserClientMethodArguments {
  uint64_t version;
  uint64_t selector;
  OSAction *completion;
  const uint64_t *scalarInput;
  uint32_t scalarInputCount;
  OSData *structureInput;
  IOMemoryDescriptor *structureInputDescriptor;
  uint64_t *scalarOutput;
  uint32_t scalarOutputCount;
  OSData *structureOutput;
  IOMemoryDescriptor *structureOutputDescriptor;
  uint64_t structureOutputMaximumSize;
  uint64_t __reserved[30];
};

static_assert(sizeof(IOUserClientMethodArguments) == sizeof(dextape_arguments), "the same in C");
static_assert(offsetof(IOUserClientMethodArguments, structureOutputMaximumSize) ==
                  offsetof(dextape_arguments, structure_output_maximum_size),
              "the same in C");

typedef kern_return_t (*IOUserClientMethodFunction)(OSObject *target, void *reference,
                                                    IOUserClientMethodArguments *arguments);

struct IOUserClientMethodDispatch {
  IOUserClientMethodFunction function;
  uint32_t checkCompletionExists;
  uint32_t checkScalarInputCount;
  uint32_t checkStructureInputSize;
  uint32_t checkScalarOutputCount;
  uint32_t checkStructureOutputSize;
};

class IOUserClient : public IOService {
 public:
  virtual kern_return_t ExternalMethod(uint64_t selector, IOUserClientMethodArguments *arguments,
                                       const IOUserClientMethodDispatch *dispatch = nullptr,
                                       OSObject *target = nullptr, void *reference = nullptr) {
    (void)selector;
    const auto *passed = reinterpret_cast<const dextape_arguments *>(arguments);
    if (dispatch == nullptr) return dextape::host->check_dispatch(passed, nullptr);
    dextape_checks checks = {dispatch->function != nullptr,     dispatch->checkCompletionExists,
                             dispatch->checkScalarInputCount,   dispatch->checkStructureInputSize,
                             dispatch->checkScalarOutputCount,  dispatch->checkStructureOutputSize};
    kern_return_t result = dextape::host->check_dispatch(passed, &checks);
    if (result != kIOReturnSuccess) return result;
    return dispatch->function(target, reference, arguments);
  }

  virtual kern_return_t CopyClientMemoryForType(uint64_t type, uint64_t *options,
                                                IOMemoryDescriptor **memory) {
    (void)type, (void)options, (void)memory;
    return dextape::host->base_copy_memory();
  }

  void AsyncCompletion(OSAction *action, kern_return_t status, const uint64_t *asyncData,
                       uint32_t asyncDataCount) {
    dextape::host->async_completion(dextape::handle(action), status, asyncData, asyncDataCount);
  }
};

#endif
