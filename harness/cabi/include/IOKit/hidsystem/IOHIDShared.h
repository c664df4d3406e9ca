/* What the HID system and its clients share: the types with which its service is opened. */
#ifndef DEXTAPE_IOKIT_HIDSYSTEM_IOHIDSHARED_H
#define DEXTAPE_IOKIT_HIDSYSTEM_IOHIDSHARED_H

#include <IOKit/IOReturn.h>
#include <IOKit/IOTypes.h>
#include <mach/mach_types.h>

#define kIOHIDSystemClass "IOHIDSystem"
#define kIOHIKeyboardClass "IOHIKeyboard"
#define kIOHIPointingClass "IOHIPointing"

enum { kIOHIDServerConnectType, kIOHIDParamConnectType, kIOHIDStackShotConnectType, kIOHIDEventSystemConnectType };

#endif
