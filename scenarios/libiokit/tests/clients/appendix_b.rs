//! Appendix B of the semantics reference, row by row: what the real library and the real message stubs
//! gave.

use crate::program::{Program, trial};
use libtest_mimic::Trial;

/// Name, statements, what they print: the code, whether the dext was called, the counts, the buffers.
const ROWS: &[(&str, &str, &str)] = &[
    (
        "twenty_outputs_and_sixteen_filled",
        "n = 20; kr = IOConnectCallMethod(c, 1, NULL, 0, NULL, 0, out, &n, NULL, NULL);\n\
         printf(\"%x %u %d %d\", kr, n, (int)out[15], (int)out[16]);",
        "0 16 16 99 called",
    ),
    (
        "seventeen_inputs",
        "n = 16; kr = IOConnectCallMethod(c, 1, in, 17, NULL, 0, out, &n, NULL, NULL);\n\
         printf(\"%x %u %d\", kr, n, (int)out[0]);",
        "fffffecd 16 99 not called",
    ),
    (
        "everything_null_and_zero",
        "kr = IOConnectCallMethod(c, 0, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL); printf(\"%x\", kr);",
        "0 called",
    ),
    (
        "four_asked_and_one_stated",
        "n = 4; kr = IOConnectCallMethod(c, 2, NULL, 0, NULL, 0, out, &n, NULL, NULL);\n\
         printf(\"%x %u %d %d\", kr, n, (int)out[0], (int)out[1]);",
        "0 1 1 99 called",
    ),
    (
        "two_asked_and_sixteen_stated",
        "n = 2; kr = IOConnectCallMethod(c, 3, NULL, 0, NULL, 0, out, &n, NULL, NULL);\n\
         printf(\"%x %u %d %d\", kr, n, (int)out[1], (int)out[2]);",
        "0 2 2 99 called",
    ),
    (
        "a_failure_leaves_all_as_it_was",
        "n = 4; size = 64; kr = IOConnectCallMethod(c, 4, NULL, 0, NULL, 0, out, &n, bytes, &size);\n\
         printf(\"%x %u %zu %d %x\", kr, n, size, (int)out[0], bytes[0]);",
        "e00002d7 4 64 99 77 called",
    ),
    (
        "an_output_that_was_never_set",
        "size = 64; kr = IOConnectCallMethod(c, 0, NULL, 0, NULL, 0, NULL, NULL, bytes, &size);\n\
         printf(\"%x %zu %x %x %x\", kr, size, bytes[0], bytes[63], bytes[64]);",
        "0 64 0 0 77 called",
    ),
    (
        "ten_bytes_of_sixty_four",
        "size = 64; kr = IOConnectCallMethod(c, 5, NULL, 0, NULL, 0, NULL, NULL, bytes, &size);\n\
         printf(\"%x %zu %x %x\", kr, size, bytes[9], bytes[10]);",
        "0 10 5a 77 called",
    ),
    (
        "sixty_five_bytes_of_sixty_four",
        "size = 64; in[0] = 65; kr = IOConnectCallMethod(c, 5, in, 1, NULL, 0, NULL, NULL, bytes, &size);\n\
         printf(\"%x %zu %x\", kr, size, bytes[0]);",
        "e00002c2 64 77 called",
    ),
    (
        "four_thousand_ninety_six_both_ways",
        "n = 8; size = 4096; kr = IOConnectCallMethod(c, 7, NULL, 0, big, 4096, out, &n, bytes, &size);\n\
         printf(\"%x %zu %x data %d descriptors %d %d max %d\", kr, size, bytes[4095], (int)out[1],\n\
                (int)out[2], (int)out[4], (int)out[3]);",
        "0 4096 0 data 4096 descriptors -1 -1 max 4096 called",
    ),
    (
        "one_more_both_ways",
        "n = 8; size = 4097; kr = IOConnectCallMethod(c, 7, NULL, 0, big, 4097, out, &n, bytes, &size);\n\
         printf(\"%x %zu %x data %d descriptors %d %d max %d\", kr, size, bytes[0], (int)out[1],\n\
                (int)out[2], (int)out[4], (int)out[3]);",
        "0 4097 77 data -1 descriptors 4097 4097 max 4097 called",
    ),
    (
        "null_and_one_more_both_ways",
        "n = 8; size = 4097; kr = IOConnectCallMethod(c, 7, NULL, 0, NULL, 4097, out, &n, NULL, &size);\n\
         printf(\"%x %zu data %d descriptors %d %d max %d\", kr, size, (int)out[1], (int)out[2],\n\
                (int)out[4], (int)out[3]);",
        "0 4097 data -1 descriptors -1 -1 max 0 called",
    ),
    (
        "out_of_line_and_a_byte_of_structure",
        "size = 5000; in[0] = 1; kr = IOConnectCallMethod(c, 5, in, 1, NULL, 0, NULL, NULL, bytes, &size);\n\
         printf(\"%x %zu\", kr, size);",
        "e00002c2 5000 called",
    ),
    (
        "out_of_line_and_an_empty_structure",
        "size = 5000; kr = IOConnectCallMethod(c, 6, NULL, 0, NULL, 0, NULL, NULL, bytes, &size);\n\
         printf(\"%x %zu\", kr, size);",
        "0 5000 called",
    ),
    (
        "four_gibibytes",
        "size = 1ul << 32; kr = IOConnectCallMethod(c, 0, NULL, 0, NULL, 0, NULL, NULL, bytes, &size);\n\
         printf(\"%x %d %x\", kr, size == 1ul << 32, bytes[0]);",
        "e00002bf 1 77 not called",
    ),
    (
        "four_gibibytes_at_null",
        "size = 1ul << 32; kr = IOConnectCallMethod(c, 0, NULL, 0, NULL, 0, NULL, NULL, NULL, &size);\n\
         printf(\"%x %zu\", kr, size);",
        "0 0 called",
    ),
    (
        "wrong_kind_of_port",
        "n = 8; io_service_t s = find(\"BoundaryProbe\");\n\
         kr = IOConnectCallMethod(s, 1, NULL, 0, NULL, 0, out, &n, NULL, NULL);\n\
         printf(\"%x %u %d\", kr, n, (int)out[0]); IOObjectRelease(s);",
        "e00002c2 8 99 not called",
    ),
    (
        "null_scalar_input",
        "printf(\"%d\", FAULTS(IOConnectCallMethod(c, 0, NULL, 1, NULL, 0, NULL, NULL, NULL, NULL)));",
        "1 not called",
    ),
    (
        "null_structure_input",
        "printf(\"%d\", FAULTS(IOConnectCallMethod(c, 0, NULL, 0, NULL, 8, NULL, NULL, NULL, NULL)));",
        "1 not called",
    ),
    (
        "null_scalar_output",
        "n = 1; printf(\"%d\", FAULTS(IOConnectCallMethod(c, 1, NULL, 0, NULL, 0, NULL, &n, NULL, NULL)));",
        "1 called",
    ),
    (
        "null_structure_output",
        "size = 8; printf(\"%d\", FAULTS(IOConnectCallMethod(c, 0, NULL, 0, NULL, 0, NULL, NULL, NULL, &size)));",
        "1 called",
    ),
];

pub(crate) fn trials() -> Vec<Trial> {
    let trials = ROWS.iter().map(|(name, statements, expected)| {
        trial(&format!("appendix_b::{name}"), &["gcc"], move || {
            let body = format!(
                "io_connect_t c = open_service(find(\"BoundaryProbe\")); unsigned kr = 0; (void)kr;\n\
                 uint64_t in[32] = {{0}}, out[32]; for (int i = 0; i < 32; i++) out[i] = 99;\n\
                 static unsigned char bytes[8192], big[8192]; memset(bytes, 0x77, sizeof bytes);\n\
                 uint32_t n = 0; size_t size = 0; (void)in, (void)out, (void)big, (void)n, (void)size;\n\
                 {statements}\n\
                 uint64_t calls = 0; n = 1; IOConnectCallScalarMethod(c, 9, NULL, 0, &calls, &n);\n\
                 printf(calls ? \" called\\n\" : \" not called\\n\"); IOServiceClose(c);"
            );
            let ran = Program::c(&body).on("boundary-probe").run();
            assert_eq!(ran.well(), format!("{expected}\n"));
        })
    });
    trials.collect()
}
