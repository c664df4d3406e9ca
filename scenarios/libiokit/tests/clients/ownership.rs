//! Who owns what: references of objects, rights of names, and what is said of those that are left.

use crate::program::{Program, trial};
use libtest_mimic::Trial;
use std::process::Command;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("ownership::trap_9_a_matching_dictionary_is_consumed", &["gcc"], || {
            let body = "CFMutableDictionaryRef d = IOServiceMatching(\"AppleSMC\"); CFRetain(d); CFRetain(d);\n\
                 printf(\"%d\", (int)CFGetRetainCount(d)); io_iterator_t it; IOServiceGetMatchingServices(0, d, &it);\n\
                 printf(\" %d\", (int)CFGetRetainCount(d)); IOObjectRelease(it);\n\
                 IOObjectRelease(IOServiceGetMatchingService(0, d)); printf(\" %d\\n\", (int)CFGetRetainCount(d)); CFRelease(d);";
            let ran = Program::c(body).on("smc").set("DEXTAPE_LEAKS", "all").run();
            assert_eq!(ran.well(), "3 2 1\n");
        }),
        trial("ownership::what_is_left_and_what_was_released_too_often_is_said", &["gcc"], || {
            let body = "io_connect_t c = open_service(find(\"AppleSMC\")); IOServiceClose(c); IOServiceClose(c); IOObjectRelease(c);\n\
                 io_service_t a = find(\"AppleSMC\"), b = find(\"AppleSMC\"); printf(\"%d %u\\n\", a == b, IOObjectGetUserRetainCount(a));\n\
                 io_iterator_t it; IOServiceGetMatchingServices(0, IOServiceMatching(\"AppleSMC\"), &it);\n\
                 CFStringRef s = CFStringCreateWithCString(NULL, \"x\", kCFStringEncodingUTF8); CFRelease(s); CFRelease(s);";
            let ran = Program::c(body).on("smc").run();
            assert_eq!((ran.code, &ran.out[..]), (Some(0), "1 2\n"), "{ran}");
            for line in [
                "once too often\n",
                "dextape: left over: 1 iterator with 1 rights: 0x603\n",
                "dextape: left over: 1 service with 2 rights: 0x503\n",
                "dextape: released too often: release of 0x403, which this task does not have\n",
                "dextape: released too often: CoreFoundation objects, 1 times\n",
            ] {
                assert!(ran.err.contains(line), "{line}{ran}");
            }
            let silent = Program::c("find(\"AppleSMC\");").on("smc").set("DEXTAPE_LEAKS", "no");
            assert_eq!(silent.run().well(), "");
        }),
        // As SoftU2F does it: the bytes are filled in after the data was made of them.
        trial("ownership::data_without_a_copy_is_the_clients_memory", &["gcc"], || {
            let body = "unsigned char bytes[4] = {1}, out[2]; CFDataRef d = CFDataCreateWithBytesNoCopy(NULL, bytes, 4, kCFAllocatorNull);\n\
                 bytes[1] = 2; CFDataRef copy = CFDataCreateCopy(NULL, d); bytes[3] = 9; CFDataGetBytes(d, (CFRange){2, 2}, out);\n\
                 printf(\"%d %d %d %d\", (int)CFDataGetLength(d), CFDataGetBytePtr(d) == bytes, out[1], CFDataGetBytePtr(copy)[1]);\n\
                 printf(\" %d\", CFEqual(d, copy)); bytes[3] = 0;\n\
                 printf(\" %d %d\\n\", CFEqual(d, copy) && CFHash(d) == CFHash(copy), CFGetTypeID(d) == CFDataGetTypeID());\n\
                 CFRelease(copy); CFRelease(d);";
            let ran = Program::c(body).set("DEXTAPE_LEAKS", "all").run();
            assert_eq!(ran.well(), "4 1 9 2 0 1 1\n");
        }),
        trial("ownership::a_rights_count_is_the_clients", &["gcc"], || {
            let body = "mach_port_t p; mach_port_urefs_t n; mach_port_t me = mach_task_self(); mach_port_allocate(me, MACH_PORT_RIGHT_RECEIVE, &p);\n\
                 printf(\"%x\", (unsigned)mach_port_insert_right(me, p, p, MACH_MSG_TYPE_MAKE_SEND));\n\
                 printf(\" %x\", (unsigned)mach_port_mod_refs(me, p, MACH_PORT_RIGHT_SEND, 2)); mach_port_get_refs(me, p, MACH_PORT_RIGHT_SEND, &n);\n\
                 printf(\" %u\", n); printf(\" %x\", (unsigned)mach_port_mod_refs(me, p, MACH_PORT_RIGHT_SEND, -3));\n\
                 printf(\" %x\", (unsigned)mach_port_deallocate(me, p)); printf(\" %x\", (unsigned)mach_port_mod_refs(me, p, MACH_PORT_RIGHT_RECEIVE, -1));\n\
                 printf(\" %x\\n\", (unsigned)mach_port_deallocate(me, p));";
            let ran = Program::c(body).run();
            assert_eq!(ran.out, "0 0 3 0 11 0 f\n", "{ran}");
        }),
        trial("ownership::trap_10_names_fill_the_whole_register", &["gcc"], || {
            let functions = "typedef unsigned long (*wide)(unsigned, const void *); typedef unsigned long (*wide1)(unsigned);\n";
            let body = "wide get = (wide)(void *)IOServiceGetMatchingService; wide1 next = (wide1)(void *)IOIteratorNext;\n\
                 unsigned long s = get(0, IOServiceMatching(\"AppleSMC\"));\n\
                 io_iterator_t it; IOServiceGetMatchingServices(0, IOServiceMatching(\"AppleSMC\"), &it);\n\
                 unsigned long n = next(it), none = next(it);\n\
                 unsigned long (*task)(void) = (unsigned long (*)(void))(void *)(mach_task_self);\n\
                 printf(\"%d %d %d %lu %lu\\n\", s > 0, s < 0x100000000ul, n == s, none, task());\n\
                 IOObjectRelease(s); IOObjectRelease(n); IOObjectRelease(it);";
            let ran = Program::c_with(functions, body).on("smc").run();
            assert_eq!(ran.well(), "1 1 1 0 259\n");
        }),
        trial("ownership::registry_properties_are_objects", &["gcc"], || {
            let body = "io_service_t s = find(\"BoundaryProbe\"); io_name_t name; io_string_t path; uint64_t id, again; int number = 0; char text[16];\n\
                 CFNumberRef n = IORegistryEntryCreateCFProperty(s, CFSTR(\"Number\"), kCFAllocatorDefault, 0); CFNumberGetValue(n, kCFNumberIntType, &number);\n\
                 CFBooleanRef b = IORegistryEntryCreateCFProperty(s, CFSTR(\"Built-in\"), NULL, 0);\n\
                 CFStringRef t = IORegistryEntryCreateCFProperty(s, CFSTR(\"Text\"), NULL, 0); CFStringGetCString(t, text, sizeof text, kCFStringEncodingUTF8);\n\
                 printf(\"%d %d %s %d %d\\n\", number, b == kCFBooleanTrue, text, (int)CFStringGetLength(t), IORegistryEntryCreateCFProperty(s, CFSTR(\"No\"), NULL, 0) == NULL);\n\
                 CFMutableDictionaryRef all; IORegistryEntryCreateCFProperties(s, &all, NULL, 0);\n\
                 IORegistryEntryGetName(s, name); IORegistryEntryGetPath(s, kIOServicePlane, path); IORegistryEntryGetRegistryEntryID(s, &id);\n\
                 printf(\"%d %s %s %d\\n\", (int)CFDictionaryGetCount(all), name, path, id >> 32 != 0);\n\
                 io_service_t same = IOServiceGetMatchingService(0, IORegistryEntryIDMatching(id)); IORegistryEntryGetRegistryEntryID(same, &again);\n\
                 printf(\"%d %d %d\\n\", same == s, id == again, IOServiceGetMatchingService(0, IORegistryEntryIDMatching(id + 9)) == 0);\n\
                 CFRelease(n); CFRelease(b); CFRelease(t); CFRelease(all); IOObjectRelease(s); IOObjectRelease(same);";
            let ran = Program::c(body).on("boundary-probe").set("DEXTAPE_LEAKS", "all").run();
            assert_eq!(
                ran.well(),
                "7 1 grün 4 1\n5 BoundaryProbe IOService:/IOResources/BoundaryProbe 1\n1 1 1\n"
            );
        }),
        trial("ownership::trap_6_what_glibc_lacks", &["gcc"], || {
            let functions = "#include <libkern/OSAtomic.h>\n#include <mach-o/dyld.h>\n#include <os/lock.h>\n#include <sys/sysctl.h>\n#include <sys/syslimits.h>\n\
                 struct s { int a; int b; };\n";
            let body = "char a[4], p[PATH_MAX]; uint32_t n = sizeof p; strlcpy(a, \"ab\", sizeof a); size_t l = strlcat(a, \"cdef\", sizeof a);\n\
                 printf(\"%s %zu %d %d\", a, l, digittoint('f'), (int)__offsetof(struct s, b)); printf(\" %d\", _NSGetExecutablePath(p, &n) == 0 && p[0] == '/');\n\
                 os_unfair_lock lock = OS_UNFAIR_LOCK_INIT; os_unfair_lock_lock(&lock); printf(\" %d\", os_unfair_lock_trylock(&lock)); os_unfair_lock_unlock(&lock);\n\
                 OSSpinLock spin = OS_SPINLOCK_INIT; OSSpinLockLock(&spin); printf(\" %d\", OSSpinLockTry(&spin)); OSSpinLockUnlock(&spin);\n\
                 int cpus = 0; size_t size = sizeof cpus; printf(\" %d\", sysctlbyname(\"hw.ncpu\", &cpus, &size, NULL, 0)); printf(\" %d\\n\", cpus > 0);";
            assert_eq!(Program::c_with(functions, body).run().well(), "abc 6 15 4 1 0 0 0 1\n");
        }),
        trial("ownership::trap_5_python_finds_it_by_name", &["gcc", "python3", "ld"], || {
            let script = "import ctypes, ctypes.util, struct\n\
                 name = ctypes.util.find_library('IOKit'); print(name)\n\
                 lib = ctypes.CDLL(name); lib.IOServiceMatching.restype = ctypes.c_void_p\n\
                 lib.IOServiceGetMatchingService.argtypes = [ctypes.c_uint, ctypes.c_void_p]\n\
                 task = ctypes.c_uint.in_dll(lib, 'mach_task_self_')\n\
                 service = lib.IOServiceGetMatchingService(0, lib.IOServiceMatching(b'AppleSMC'))\n\
                 connect = ctypes.c_uint(); print(hex(lib.IOServiceOpen(service, task, 0, ctypes.byref(connect))))\n\
                 data = bytearray(80); data[0:4] = struct.pack('<I', 0x234b4559); data[42] = 9\n\
                 out = ctypes.create_string_buffer(80); size = ctypes.c_size_t(80)\n\
                 print(lib.IOConnectCallStructMethod(connect, 2, bytes(data), ctypes.c_size_t(80), out, ctypes.byref(size)), out.raw[32:36])\n\
                 lib.IOServiceClose(connect); lib.IOObjectRelease(service)\n";
            let program = Program::c("").on("smc");
            let mut python = Command::new("python3");
            python.args(["-c", script]);
            assert_eq!(program.run_command(python).well(), "libIOKit.so\n0x0\n0 b'23iu'\n");
        }),
    ]
}
