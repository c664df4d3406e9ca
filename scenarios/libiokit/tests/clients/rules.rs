//! Rules of the boundary that only a client in C can show, each under its number.

use crate::program::{Program, trial};
use libtest_mimic::Trial;

/// A program on the probe, whose connection is `c`.
fn probe(body: &str) -> Program {
    let open = "io_connect_t c = open_service(find(\"BoundaryProbe\"));\n\
         uint64_t calls = 0; uint32_t one = 1; (void)calls, (void)one;\n";
    let close = "IOServiceClose(c);\n";
    let calls = "static uint64_t calls_of(io_connect_t c) { uint64_t n = 0; uint32_t one = 1;\n\
         IOConnectCallScalarMethod(c, 9, NULL, 0, &n, &one); return n; }\n";
    Program::c_with(
        &format!("__attribute__((__unused__)) {calls}"),
        &format!("{open}{body}\n{close}"),
    )
    .on("boundary-probe")
}

/// A trial whose program prints just that.
fn says(name: &'static str, body: &'static str, expected: &'static str) -> Trial {
    trial(&format!("rules::{name}"), &["gcc"], move || {
        assert_eq!(probe(body).run().well(), expected);
    })
}

/// As [`says`], and the same again as it is recorded and replayed.
fn keeps(name: &'static str, body: &'static str, expected: &'static str) -> Trial {
    trial(&format!("rules::{name}"), &["gcc"], move || {
        let live = probe(body);
        let tape = live.path("t.tape.jsonl").to_str().unwrap().to_owned();
        let live = live.set("DEXTAPE_RECORD", &tape);
        assert_eq!(live.run().well(), expected, "recorded");
        let replay = probe(body).set("DEXTAPE_SCENARIO", "").set("DEXTAPE_TAPE", &tape);
        assert_eq!(replay.set("DEXTAPE_STRICT", "1").run().well(), expected, "replayed");
    })
}

/// A trial whose program is ended by SIGSEGV after it has printed just that: no handler, no message.
fn ends(name: &'static str, body: &'static str, expected: &'static str) -> Trial {
    trial(&format!("rules::{name}"), &["gcc"], move || {
        let ran = probe(&format!("setvbuf(stdout, NULL, _IONBF, 0);\n{body}")).run();
        assert_eq!(ran.signal, Some(11), "{ran}");
        assert_eq!((&ran.out[..], &ran.err[..]), (expected, ""), "{ran}");
    })
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        says(
            "A3_null_inputs_fault_before_sending",
            "size_t size = 0; char bytes[8];\n\
             printf(\"%d\", FAULTS(IOConnectCallScalarMethod(c, 0, NULL, 1, NULL, NULL)));\n\
             printf(\" %d %d\", (int)(fault_address == 0), (int)calls_of(c));\n\
             printf(\" %d\", FAULTS(IOConnectCallStructMethod(c, 0, NULL, 8, NULL, &size)));\n\
             printf(\" %d\", FAULTS(IOConnectCallStructMethod(c, 0, NULL, 4096, NULL, &size)));\n\
             printf(\" %d\\n\", (int)calls_of(c));\n\
             printf(\"%x\\n\", (unsigned)IOConnectCallMethod(c, 0, NULL, 17, NULL, 8, NULL, NULL, bytes, &size));",
            // Seventeen are refused before anybody follows the pointer (A2).
            "1 1 0 1 1 1\nfffffecd\n",
        ),
        ends(
            "A3_the_fault_is_the_clients_own",
            "printf(\"before\\n\");\nIOConnectCallScalarMethod(c, 0, NULL, 1, NULL, NULL); printf(\"after\\n\");",
            "before\n",
        ),
        says(
            "A4_null_counts_are_zero_and_their_buffers_are_left_alone",
            "uint64_t out[2] = {11, 22}; char bytes[4] = \"abc\";\n\
             kern_return_t kr = IOConnectCallMethod(c, 1, NULL, 0, NULL, 0, out, NULL, bytes, NULL);\n\
             printf(\"%x %d %d %s\\n\", (unsigned)kr, (int)out[0], (int)out[1], bytes);\n\
             uint64_t seen[8]; uint32_t n = 8; char room[16];\n\
             kr = IOConnectCallMethod(c, 7, NULL, 0, NULL, 0, seen, &n, room, NULL);\n\
             printf(\"%x %d\\n\", (unsigned)kr, (int)seen[3]);",
            "0 11 22 abc\n0 0\n",
        ),
        says(
            "A5_twenty_outputs_are_sixteen",
            "uint64_t out[20]; for (int i = 0; i < 20; i++) out[i] = 99; uint32_t n = 20;\n\
             kern_return_t kr = IOConnectCallScalarMethod(c, 1, NULL, 0, out, &n);\n\
             printf(\"%x %u %d %d\\n\", (unsigned)kr, n, (int)out[15], (int)out[16]);",
            "0 16 16 99\n",
        ),
        says(
            "A6_null_outputs_fault_after_the_call",
            "uint32_t n = 1; size_t size = 8; uint64_t none = 0;\n\
             printf(\"%d\", FAULTS(IOConnectCallScalarMethod(c, 1, NULL, 0, NULL, &n)));\n\
             printf(\" %d\", (int)calls_of(c));\n\
             size = 16; printf(\" %d\", FAULTS(IOConnectCallStructMethod(c, 5, NULL, 0, NULL, &size)));\n\
             printf(\" %d\", (int)calls_of(c));\n\
             n = 1; size = 8;\n\
             printf(\" %x\", (unsigned)IOConnectCallMethod(c, 5, &none, 1, NULL, 0, NULL, NULL, NULL, &size));\n\
             printf(\" %zu\\n\", size);",
            // What returns nothing copies nothing.
            "1 1 1 3 0 0\n",
        ),
        says(
            "A7_a_count_of_zero_makes_any_pointer_do",
            "uint64_t seen[8]; uint32_t n = 8;\n\
             kern_return_t kr = IOConnectCallMethod(c, 7, (uint64_t *)16, 0, (void *)16, 0, seen, &n, NULL, NULL);\n\
             printf(\"%x %d %d\\n\", (unsigned)kr, (int)seen[0], (int)seen[1]);",
            "0 0 -1\n",
        ),
        says(
            "A13_four_gibibytes_are_refused_before_the_dext",
            "size_t size = 1ul << 32; char byte = 7;\n\
             kern_return_t kr = IOConnectCallStructMethod(c, 0, NULL, 0, &byte, &size);\n\
             printf(\"%x %d %d %d\\n\", (unsigned)kr, (int)calls_of(c), size == 1ul << 32, byte);",
            "e00002bf 0 1 7\n",
        ),
        says(
            "A14_variable_output_is_allocated_and_emptied_on_failure",
            "void *out = (void *)1; size_t size = (size_t)-3; uint64_t length = 5000;\n\
             kern_return_t kr = IOConnectCallMethod(c, 5, &length, 1, NULL, 0, NULL, NULL, &out, &size);\n\
             printf(\"%x %zu %d\\n\", (unsigned)kr, size, ((unsigned char *)out)[4999]);\n\
             printf(\"%x\\n\", (unsigned)vm_deallocate(mach_task_self(), (vm_address_t)out, size));\n\
             size = (size_t)-3;\n\
             kr = IOConnectCallMethod(c, 4, NULL, 0, NULL, 0, NULL, NULL, &out, &size);\n\
             printf(\"%x %zu %d\\n\", (unsigned)kr, size, out == NULL);\n\
             out = (void *)1; size = (size_t)-3;\n\
             kr = IOConnectCallMethod(0, 4, NULL, 0, NULL, 0, NULL, NULL, &out, &size);\n\
             printf(\"%x %zu %d\\n\", (unsigned)kr, size, out == NULL);",
            "0 5000 90\n0\ne00002d7 0 1\n10000003 0 1\n",
        ),
        says(
            "A15_null_dead_and_unknown_names_are_no_destination",
            "mach_port_t port; mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port);\n\
             mach_port_insert_right(mach_task_self(), port, port, MACH_MSG_TYPE_MAKE_SEND);\n\
             mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1);\n\
             io_connect_t names[] = {0, port, 0x77777703, MACH_PORT_DEAD};\n\
             for (int i = 0; i < 4; i++)\n\
               printf(\"%x \", (unsigned)IOConnectCallMethod(names[i], 0, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL));\n\
             printf(\"%x\\n\", (unsigned)mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_DEAD_NAME, -1));",
            "10000003 10000003 10000003 10000003 0\n",
        ),
        says(
            "A16_ports_of_another_kind_are_bad_arguments",
            "io_service_t s = find(\"BoundaryProbe\"); io_iterator_t it;\n\
             IOServiceGetMatchingServices(0, IOServiceMatching(\"BoundaryProbe\"), &it);\n\
             printf(\"%x %x %d\\n\", (unsigned)IOConnectCallScalarMethod(s, 0, NULL, 0, NULL, NULL),\n\
                    (unsigned)IOConnectCallScalarMethod(it, 0, NULL, 0, NULL, NULL), (int)calls_of(c));\n\
             IOObjectRelease(s); IOObjectRelease(it);",
            "e00002c2 e00002c2 0\n",
        ),
        keeps(
            "B6_a_pointer_to_nothing_is_not_the_calls_business",
            "uint64_t seen[8]; uint32_t n = 8;\n\
             kern_return_t kr = IOConnectCallMethod(c, 7, NULL, 0, (void *)0x10000, 5000, seen, &n, NULL, NULL);\n\
             printf(\"%x: %d bytes, mapped: %x\\n\", (unsigned)kr, (int)seen[2], (unsigned)seen[7]);\n\
             size_t size = 6000; n = 8; kr = IOConnectCallMethod(c, 7, NULL, 0, NULL, 0, seen, &n, (void *)0x10000, &size);\n\
             printf(\"%x: %d bytes, at most %d, %zu\\n\", (unsigned)kr, (int)seen[4], (int)seen[3], size);\n\
             kr = IOConnectCallMethod(c, 11, NULL, 0, NULL, 0, NULL, NULL, (void *)0x10000, &size);\n\
             printf(\"%x %zu %d\\n\", (unsigned)kr, size, (int)calls_of(c));\n\
             uint64_t reference[1] = {0}; n = 8; size = 6000;\n\
             kr = IOConnectCallAsyncMethod(c, 7, 0, reference, 1, NULL, 0, (void *)0x10000, 5000, seen, &n, (void *)0x10000, &size);\n\
             printf(\"%x: %d bytes, mapped: %x; %d bytes\\n\", (unsigned)kr, (int)seen[2], (unsigned)seen[7], (int)seen[4]);",
            "0: 5000 bytes, mapped: e00002bc\n0: 6000 bytes, at most 6000, 6000\ne00002bc 6000 3\n\
             0: 5000 bytes, mapped: e00002bc; 6000 bytes\n",
        ),
        says(
            "B8_writes_through_the_descriptor_stay_when_the_call_fails",
            "static unsigned char room[5002]; size_t size = 5000; uint64_t fail = 1; room[5000] = 3;\n\
             kern_return_t kr = IOConnectCallMethod(c, 11, &fail, 1, NULL, 0, NULL, NULL, room, &size);\n\
             printf(\"%x %x %x %d %zu\\n\", (unsigned)kr, room[0], room[4999], room[5000], size);",
            "e00002d8 ab ab 3 5000\n",
        ),
        says(
            "D4_null_references_with_a_count_fault",
            "mach_port_t port; IOCreateReceivePort(53, &port);\n\
             printf(\"%d\", FAULTS(IOConnectCallAsyncScalarMethod(c, 0, port, NULL, 1, NULL, 0, NULL, NULL)));\n\
             printf(\" %x\", (unsigned)IOConnectCallAsyncScalarMethod(c, 0, port, NULL, 9, NULL, 0, NULL, NULL));\n\
             uint64_t ref[1] = {5};\n\
             printf(\" %x\", (unsigned)IOConnectCallAsyncScalarMethod(c, 0, port, ref, 0, NULL, 0, NULL, NULL));\n\
             printf(\" %x %d\\n\", (unsigned)IOConnectCallAsyncScalarMethod(c, 0, 0x3303, ref, 1, NULL, 0, NULL, NULL), (int)calls_of(c));\n\
             mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1);",
            "1 fffffecd e00002c2 1000000a 0\n",
        ),
        says(
            "F6_null_address_or_size_faults",
            "mach_vm_address_t at = 0; mach_vm_size_t size = 0;\n\
             printf(\"%d\", FAULTS(IOConnectMapMemory64(c, 0, mach_task_self(), NULL, &size, 1)));\n\
             printf(\" %d\", FAULTS(IOConnectMapMemory64(c, 0, mach_task_self(), &at, NULL, 1)));\n\
             printf(\" %d\\n\", FAULTS(IOConnectMapMemory64(0, 0, 0, NULL, NULL, 1)));",
            "1 1 1\n",
        ),
        says(
            "F7_without_a_task_is_a_bad_argument",
            "mach_vm_address_t at = 5; mach_vm_size_t size = 6;\n\
             kern_return_t kr = IOConnectMapMemory64(c, 0, 0, &at, &size, 1);\n\
             printf(\"%x %d %d %x\\n\", (unsigned)kr, (int)at, (int)size, (unsigned)IOConnectUnmapMemory64(c, 0, 0, 5));",
            "e00002c2 5 6 e00002c2\n",
        ),
        says(
            "F9_a_fixed_address_is_rounded_down_and_must_be_free",
            "mach_vm_address_t at = 0x150000123ull; mach_vm_size_t size = 0;\n\
             kern_return_t kr = IOConnectMapMemory64(c, 0, mach_task_self(), &at, &size, 0);\n\
             printf(\"%x %llx %d\\n\", (unsigned)kr, (unsigned long long)at, (int)size);\n\
             strcpy((char *)at, \"here\"); printf(\"%s\\n\", (char *)at);\n\
             at = (mach_vm_address_t)(uintptr_t)&at & ~0x3fffull;\n\
             printf(\"%x\\n\", (unsigned)IOConnectMapMemory64(c, 0, mach_task_self(), &at, &size, 0));",
            "0 150000000 128\nhere\ne00002c2\n",
        ),
        says(
            "F10_whole_pages_are_accessible",
            "mach_vm_address_t at = 0; mach_vm_size_t size = 7;\n\
             kern_return_t kr = IOConnectMapMemory64(c, 0, mach_task_self(), &at, &size, kIOMapAnywhere);\n\
             ((char *)at)[16383] = 5; printf(\"%x %d %d\\n\", (unsigned)kr, (int)size, ((char *)at)[16383]);",
            "0 128 5\n",
        ),
        says(
            "F11_mapped_again_is_the_same_address",
            "mach_vm_address_t a = 0, b = 0; mach_vm_size_t size = 0;\n\
             IOConnectMapMemory64(c, 0, mach_task_self(), &a, &size, kIOMapAnywhere);\n\
             IOConnectMapMemory64(c, 0, mach_task_self(), &b, &size, kIOMapAnywhere);\n\
             printf(\"%d\", a == b);\n\
             printf(\" %x\", (unsigned)IOConnectUnmapMemory64(c, 0, mach_task_self(), a));\n\
             printf(\" %d\", FAULTS(*(volatile char *)a));\n\
             printf(\" %x\\n\", (unsigned)IOConnectUnmapMemory64(c, 0, mach_task_self(), a));",
            "1 0 1 e00002c2\n",
        ),
        says(
            "F23_the_close_takes_the_mappings_away",
            "mach_vm_address_t at = 0; mach_vm_size_t size = 0;\n\
             IOConnectMapMemory64(c, 0, mach_task_self(), &at, &size, kIOMapAnywhere);\n\
             volatile char *p = (volatile char *)at; *p = 1;\n\
             printf(\"%x\", (unsigned)IOServiceClose(c)); printf(\" %d\", FAULTS(*p)); printf(\" %d\\n\", fault_address == at);\n\
             c = open_service(find(\"BoundaryProbe\"));",
            "0 1 1\n",
        ),
        ends(
            "F23_touching_it_after_the_close_ends_the_client",
            "mach_vm_address_t at = 0; mach_vm_size_t size = 0;\n\
             IOConnectMapMemory64(c, 0, mach_task_self(), &at, &size, kIOMapAnywhere);\n\
             *(volatile char *)at = 1; IOServiceClose(c); printf(\"closed\\n\"); *(volatile char *)at = 2;",
            "closed\n",
        ),
        says(
            "F24_another_right_keeps_the_mappings",
            "mach_vm_address_t at = 0; mach_vm_size_t size = 0;\n\
             IOConnectMapMemory64(c, 0, mach_task_self(), &at, &size, kIOMapAnywhere);\n\
             printf(\"%x\", (unsigned)IOConnectAddRef(c));\n\
             printf(\" %x\", (unsigned)IOServiceClose(c)); printf(\" %d\", FAULTS(*(volatile char *)at));\n\
             printf(\" %x\", (unsigned)IOConnectCallScalarMethod(c, 0, NULL, 0, NULL, NULL));\n\
             printf(\" %x\", (unsigned)IOConnectRelease(c)); printf(\" %d\\n\", FAULTS(*(volatile char *)at));\n\
             c = open_service(find(\"BoundaryProbe\"));",
            "0 0 0 e00002c2 0 1\n",
        ),
        says(
            "F27_a_forked_child_has_no_mappings",
            "mach_vm_address_t at = 0; mach_vm_size_t size = 0;\n\
             IOConnectMapMemory64(c, 0, mach_task_self(), &at, &size, kIOMapAnywhere);\n\
             fflush(stdout); pid_t child = fork();\n\
             if (child == 0) _exit(FAULTS(*(volatile char *)at) ? 5 : 6);\n\
             int status; waitpid(child, &status, 0);\n\
             printf(\"%d %d\\n\", WEXITSTATUS(status), FAULTS(*(volatile char *)at));",
            "5 0\n",
        ),
        says(
            "G1_an_open_of_what_is_no_service_leaves_the_name_alone",
            "io_connect_t x = 5; io_service_t s = find(\"BoundaryProbe\");\n\
             printf(\"%x\", (unsigned)IOServiceOpen(c, mach_task_self(), 0, &x));\n\
             printf(\" %x\", (unsigned)IOServiceOpen(s, 0, 0, &x)); printf(\" %u\", x);\n\
             printf(\" %x\", (unsigned)IOServiceOpen(s, mach_task_self(), 0xe00002be, &x)); printf(\" %u\", x); x = 5;\n\
             printf(\" %x\", (unsigned)IOServiceOpen(s, mach_task_self(), 1, &x)); printf(\" %u\\n\", x); IOObjectRelease(s);",
            "e00002c2 e00002c2 5 e00002be 0 e00002bc 0\n",
        ),
        says(
            "G16_to_G20_what_a_connection_does_not_support",
            "io_service_t s = 5; CFMutableDictionaryRef d = IOServiceMatching(\"X\");\n\
             printf(\"%x\", (unsigned)IOConnectSetNotificationPort(c, 0, 0, 0));\n\
             printf(\" %x %x\", (unsigned)IOConnectAddClient(c, c), (unsigned)IOConnectAddClient(c, 0));\n\
             printf(\" %x\", (unsigned)IOConnectGetService(c, &s)); printf(\" %u\", s);\n\
             printf(\" %x\", (unsigned)IOConnectSetCFProperties(c, d));\n\
             printf(\" %x\", (unsigned)IOConnectSetCFProperty(c, CFSTR(\"A\"), CFSTR(\"B\")));\n\
             printf(\" %x %x\\n\", (unsigned)IOConnectTrap0(c, 2), (unsigned)IOConnectTrap6(c, 9, 1, 2, 3, 4, 5, 6));\n\
             CFRelease(d);",
            "e00002c7 e00002c7 e00002c2 e00002c7 5 e00002c7 e00002c7 0 0\n",
        ),
        says(
            "G21_a_trap_on_a_bad_port_is_a_bad_argument",
            "io_service_t s = find(\"BoundaryProbe\");\n\
             printf(\"%x %x %x\\n\", (unsigned)IOConnectTrap0(0, 5), (unsigned)IOConnectTrap1(0x7777703, 5, 0), (unsigned)IOConnectTrap0(s, 5));\n\
             IOObjectRelease(s);",
            "e00002c2 e00002c2 e00002c2\n",
        ),
        says(
            "G22_a_connection_cannot_be_sent_to_another_task",
            "mach_port_t p; mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &p); io_connect_t sent[] = {c, p};\n\
             struct { mach_msg_header_t h; mach_msg_body_t body; mach_msg_port_descriptor_t port; } m; memset(&m, 0, sizeof m);\n\
             for (int i = 0; i < 2; i++) { m.h.msgh_bits = MACH_MSGH_BITS_COMPLEX | MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, 0);\n\
             m.h.msgh_remote_port = p; m.h.msgh_size = sizeof m; m.body.msgh_descriptor_count = 1; m.port.name = sent[i];\n\
             m.port.disposition = MACH_MSG_TYPE_COPY_SEND; m.port.type = MACH_MSG_PORT_DESCRIPTOR;\n\
             printf(\"%x \", (unsigned)mach_msg(&m.h, MACH_SEND_MSG, sizeof m, 0, 0, 0, 0)); }\n\
             printf(\"\\n\"); mach_port_destroy(mach_task_self(), p);",
            "1000000a 0 \n",
        ),
        says(
            "H1_a_terminated_connection_is_no_destination_or_a_bad_argument",
            "io_connect_t d = open_service(find(\"BoundaryProbe\"));\n\
             mach_vm_address_t at = 0; mach_vm_size_t size = 0;\n\
             IOConnectMapMemory64(d, 0, mach_task_self(), &at, &size, kIOMapAnywhere);\n\
             printf(\"%x\", (unsigned)IOConnectCallScalarMethod(c, 12, NULL, 0, NULL, NULL));\n\
             printf(\" %x\", (unsigned)IOConnectCallScalarMethod(c, 0, NULL, 0, NULL, NULL));\n\
             printf(\" %x\", (unsigned)IOConnectCallScalarMethod(d, 0, NULL, 0, NULL, NULL));\n\
             printf(\" %d\", FAULTS(*(volatile char *)at));\n\
             printf(\" %x\", (unsigned)IOServiceClose(d)); printf(\" %d\", FAULTS(*(volatile char *)at));\n\
             printf(\" %d\\n\", (int)find(\"BoundaryProbe\"));",
            "0 10000003 e00002c2 0 0 1 0\n",
        ),
        says(
            "J2_codes_are_signed_and_have_names",
            "kern_return_t kr = IOConnectCallScalarMethod(c, 4, NULL, 0, NULL, NULL);\n\
             printf(\"%d %s\\n\", kr, mach_error_string(IOServiceOpen(c, mach_task_self(), 0, &c)));",
            "-536870185 (iokit/common) bad argument\n",
        ),
    ]
}
