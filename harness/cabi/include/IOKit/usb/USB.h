/* USB as clients of its drivers know it: results, directions and kinds of transfers, requests. */
#ifndef DEXTAPE_IOKIT_USB_USB_H
#define DEXTAPE_IOKIT_USB_USB_H

#include <IOKit/IOReturn.h>
#include <IOKit/IOTypes.h>
#include <libkern/OSByteOrder.h>

#define iokit_usb_err(code) ((IOReturn)(sys_iokit | sub_iokit_usb | (code)))
#define iokit_usb_msg(message) ((UInt32)(sys_iokit | sub_iokit_usb | (message)))

#define kIOUSBUnknownPipeErr iokit_usb_err(0x61)
#define kIOUSBTooManyPipesErr iokit_usb_err(0x60)
#define kIOUSBNoAsyncPortErr iokit_usb_err(0x5f)
#define kIOUSBNotEnoughPipesErr iokit_usb_err(0x5e)
#define kIOUSBNotEnoughPowerErr iokit_usb_err(0x5d)
#define kIOUSBEndpointNotFound iokit_usb_err(0x57)
#define kIOUSBConfigNotFound iokit_usb_err(0x56)
#define kIOUSBTransactionTimeout iokit_usb_err(0x51)
#define kIOUSBTransactionReturned iokit_usb_err(0x50)
#define kIOUSBPipeStalled iokit_usb_err(0x4f)
#define kIOUSBInterfaceNotFound iokit_usb_err(0x4e)

enum { kUSBOut, kUSBIn, kUSBNone, kUSBAnyDirn };
enum { kUSBControl, kUSBIsoc, kUSBBulk, kUSBInterrupt, kUSBAnyType = 0xff };
enum { kUSBStandard, kUSBClass, kUSBVendor };
enum { kUSBDevice, kUSBInterface, kUSBEndpoint, kUSBOther };

#define USBmakebmRequestType(direction, type, recipient) \
  ((UInt8)((((direction) & 1) << 7) | (((type) & 3) << 5) | ((recipient) & 0x1f)))
#define USBToHostWord OSSwapLittleToHostInt16
#define HostToUSBWord OSSwapHostToLittleInt16
#define USBToHostLong OSSwapLittleToHostInt32
#define HostToUSBLong OSSwapHostToLittleInt32

typedef struct {
  UInt8 bmRequestType;
  UInt8 bRequest;
  UInt16 wValue;
  UInt16 wIndex;
  UInt16 wLength;
  void *pData;
  UInt32 wLenDone;
} IOUSBDevRequest;

#endif
