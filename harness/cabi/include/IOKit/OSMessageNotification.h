/* Notifications and their messages. */
#ifndef DEXTAPE_IOKIT_OSMESSAGENOTIFICATION_H
#define DEXTAPE_IOKIT_OSMESSAGENOTIFICATION_H

#include <IOKit/IOReturn.h>
#include <IOKit/IOTypes.h>
#include <mach/mach_types.h>

enum {
  kFirstIOKitNotificationType = 100,
  kIOServicePublishNotificationType = 100,
  kIOServiceMatchedNotificationType = 101,
  kIOServiceTerminatedNotificationType = 102,
  kIOAsyncCompletionNotificationType = 150,
  kIOServiceMessageNotificationType = 160,
  kLastIOKitNotificationType = 199
};
#define kIOKitNotificationTypeMask 0x00000fff
#define kIOKitNotificationTypeSizeAdjShift 30
#define kIOKitNotificationMsgSizeMask 3

enum {
  kOSNotificationMessageID = 53,
  kOSAsyncCompleteMessageID = 57,
  kMaxAsyncArgs = 16
};

enum {
  kIOAsyncReservedIndex = 0,
  kIOAsyncReservedCount,
  kIOAsyncCalloutFuncIndex = kIOAsyncReservedCount,
  kIOAsyncCalloutRefconIndex,
  kIOAsyncCalloutCount,
  kIOMatchingCalloutFuncIndex = kIOAsyncReservedCount,
  kIOMatchingCalloutRefconIndex,
  kIOMatchingCalloutCount,
  kIOInterestCalloutFuncIndex = kIOAsyncReservedCount,
  kIOInterestCalloutRefconIndex,
  kIOInterestCalloutServiceIndex,
  kIOInterestCalloutCount
};

enum {
  kOSAsyncRef64Count = 8,
  kOSAsyncRef64Size = kOSAsyncRef64Count * ((int)sizeof(io_user_scalar_t))
};
typedef io_user_scalar_t OSAsyncReference64[kOSAsyncRef64Count];

#pragma pack(push, 4)
struct OSNotificationHeader64 {
  mach_msg_size_t size;
  natural_t type;
  OSAsyncReference64 reference;
};
struct IOServiceInterestContent64 {
  natural_t messageType;
  io_user_scalar_t messageArgument[1];
};
struct IOAsyncCompletionContent {
  IOReturn result;
#ifndef __cplusplus
  void *args[];
#else
  void *args[1];
#endif
};
#pragma pack(pop)
typedef struct OSNotificationHeader64 OSNotificationHeader64;
typedef struct IOServiceInterestContent64 IOServiceInterestContent64;
typedef struct IOAsyncCompletionContent IOAsyncCompletionContent;

#endif
