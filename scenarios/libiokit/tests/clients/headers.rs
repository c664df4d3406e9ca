//! The headers compile, alone and together, in the languages and dialects that clients use.

use crate::program::{Program, include, trial};
use libtest_mimic::Trial;
use std::path::Path;

/// Compilers, and the extension of what they compile.
const COMPILERS: &[(&[&str], &str)] = &[
    (&["gcc"], "c"),
    (&["gcc", "-std=c99", "-pedantic"], "c"),
    (&["g++"], "cc"),
    (&["g++", "-std=c++11", "-pedantic"], "cc"),
    (&["clang"], "c"),
    (&["clang", "-std=c99", "-pedantic"], "c"),
    (&["clang", "-fblocks"], "c"),
    (&["clang++", "-std=c++11"], "cc"),
];

pub(crate) fn trials() -> Vec<Trial> {
    let compiles = COMPILERS.iter().map(|(compiler, extension)| {
        let name = format!("headers::compile_with {}", compiler.join(" "));
        trial(&name, &compiler[..1], move || compile_all(compiler, extension))
    });
    let trap = trial("headers::trap_2_types_and_versions", &["gcc"], || {
        Program::compile(
            &["gcc"],
            "c",
            "#include <AvailabilityMacros.h>\n#include <CoreFoundation/CoreFoundation.h>\n#include <mach/mach.h>\n\
             #if !defined(MAC_OS_X_VERSION_10_5) || MAC_OS_X_VERSION_10_5 != 1050\n#error 10.5\n#endif\n\
             _Static_assert(sizeof(UInt32) == 4 && sizeof(SInt32) == 4 && sizeof(UInt64) == 8, \"\");\n\
             _Static_assert(sizeof(vm_size_t) == 8 && sizeof(mach_port_t) == 4, \"\");\n\
             int main(void) { return 0; }\n",
        );
    });
    let other = trial("headers::trap_3_what_comes_with_core_foundation", &["gcc"], || {
        let ran = Program::compile(
            &["gcc"],
            "c",
            "#include <CoreFoundation/CoreFoundation.h>\nint main(void) { char *text = malloc(8);\n\
             strcpy(text, \"ab\"); assert(strlen(text) == 2); printf(\"%g\\n\", sqrt(9.0)); free(text);\n\
             return EXIT_SUCCESS; }\n",
        )
        .run();
        assert_eq!(ran.well(), "3\n");
    });
    let generated = trial("headers::results_of_generated_stubs", &["gcc"], || {
        let body = "#include <mach/mig_errors.h>\nint main(void) {\n\
             printf(\"%x %x\\n\", (unsigned)MIG_TYPE_ERROR, (unsigned)MIG_SERVER_DIED); return 0; }\n";
        let ran = Program::compile(&["gcc"], "c", &format!("#include <stdio.h>\n{body}")).run();
        assert_eq!(ran.well(), "fffffed4 fffffecc\n");
    });
    let further = trial("headers::what_clients_find_without_asking", &["gcc"], || {
        // Of osx-cpu-temp, smcFanControl, libsmc and Apple's sample: none of them includes what declares these.
        let ran = Program::compile(
            &["gcc", "-Werror=implicit-function-declaration"],
            "c",
            "#include <IOKit/IOKitLib.h>\n#include <IOKit/hidsystem/IOHIDShared.h>\n#include <IOKit/usb/USB.h>\n\
             int main(int argc, char **argv) {\n\
             UInt one = 1; (void)one; io_async_ref64_t reference = {0}; reference[1] = (io_user_reference_t)(uintptr_t)argv;\n\
             printf(\"%d %d %zu %d %x %x\\n\", getopt(argc, argv, \"a\"), ntohs(0x0100), sizeof reference,\n\
             kIOHIDServerConnectType, (unsigned)kIOUSBPipeStalled, USBmakebmRequestType(kUSBIn, kUSBVendor, kUSBEndpoint));\n\
             return 0; }\n",
        )
        .run();
        assert_eq!(ran.well(), "-1 1 64 0 e000404f c2\n");
    });
    compiles.chain([trap, other, generated, further]).collect()
}

/// All headers of the folder in one source, twice and in both orders, so that none rests on another.
fn compile_all(compiler: &[&str], extension: &str) {
    let mut names = Vec::new();
    list(&include(), "", &mut names);
    names.sort();
    assert!(names.len() > 40, "{names:?}");
    let lines = |names: &mut dyn Iterator<Item = &String>| -> String {
        names.map(|name| format!("#include <{name}>\n")).collect()
    };
    let end = "int main() { return (int)(mach_task_self() == 0); }\n";
    for order in [lines(&mut names.iter()), lines(&mut names.iter().rev())] {
        Program::compile(compiler, extension, &format!("{order}{order}{end}"));
    }
}

fn list(folder: &Path, before: &str, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{before}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            list(&entry.path(), &format!("{name}/"), names);
        } else {
            names.push(name);
        }
    }
}
