//! The library as it is linked, read as a file: what dyld needs of it.

use libtest_mimic::{Failed, Trial};
use object::macho::{
    CPU_TYPE_ARM64, CPU_TYPE_X86_64, LC_BUILD_VERSION, MachHeader64, PLATFORM_MACOS, S_INTERPOSING,
    SECTION_TYPE,
};
use object::read::macho::{MachHeader, MachOFile64, Section as _, Segment as _};
use object::{Endianness, Object as _};
use std::collections::BTreeSet;
use std::path::Path;

/// How many functions are replaced, by the table itself.
fn replaced() -> u64 {
    let table = include_str!("../../src/dylib/tuples.rs").lines().map(str::trim);
    table.filter(|line| line.starts_with("IO") && line.contains(" => ")).count() as u64
}

/// The oldest macOS that has all of them as they are used here (dyld's tuples, `DriverKit`).
const OLDEST: u32 = 0x000d_0000;

pub(crate) fn trials() -> Vec<Trial> {
    [("DEXTAPE_INTERPOSER", CPU_TYPE_X86_64), ("DEXTAPE_INTERPOSER_ARM64", CPU_TYPE_ARM64)]
        .into_iter()
        .filter_map(|(name, processor)| {
            let path = std::env::var_os(name)?;
            let run = move || -> Result<(), Failed> {
                read(Path::new(&path), processor);
                Ok(())
            };
            Some(Trial::test(format!("the_file_of_{name}_is_what_dyld_needs"), run))
        })
        .collect()
}

fn read(path: &Path, processor: u32) {
    let bytes = std::fs::read(path).unwrap();
    let header = MachHeader64::<Endianness>::parse(&*bytes, 0).unwrap();
    let endian = header.endian().unwrap();
    assert_eq!(header.cputype(endian), processor);

    let (mut tuples, mut constructors, mut oldest) = (0, 0, None);
    let mut commands = header.load_commands(endian, &*bytes, 0).unwrap();
    while let Some(command) = commands.next().unwrap() {
        if command.cmd() == LC_BUILD_VERSION {
            let version: &object::macho::BuildVersionCommand<Endianness> = command.data().unwrap();
            assert_eq!(version.platform.get(endian), PLATFORM_MACOS);
            oldest = Some(version.minos.get(endian));
        }
        let Some((segment, data)) = command.segment_64().unwrap() else { continue };
        for section in segment.sections(endian, data).unwrap() {
            let name = (section.segment_name(), section.name());
            match name {
                (segment, b"__interpose") => {
                    assert_eq!(segment, b"__DATA", "older dyld looks nowhere else");
                    let kind = section.flags(endian) & SECTION_TYPE;
                    assert!(kind == S_INTERPOSING || kind == 0, "{kind}");
                    tuples = section.size.get(endian) / 16;
                }
                (_, b"__mod_init_func" | b"__init_offsets") => constructors += 1,
                _ => {}
            }
        }
    }
    assert!(replaced() > 30, "the table is read");
    assert_eq!(tuples, replaced());
    assert_eq!(constructors, 1, "the environment is read when the library is loaded");
    assert!(oldest.is_some_and(|oldest| oldest <= OLDEST), "needs macOS {oldest:x?}");

    let file = MachOFile64::<Endianness>::parse(&*bytes).unwrap();
    let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let imports: BTreeSet<String> =
        file.imports().unwrap().iter().map(|import| name(import.name())).collect();
    let iokit = imports.iter().filter(|import| import.starts_with("_IO")).count();
    assert!(iokit as u64 >= replaced(), "each replaced function is an import: {imports:?}");
    let exports: BTreeSet<String> =
        file.exports().unwrap().iter().map(|export| name(export.name())).collect();
    assert!(exports.contains("_dextape_record_start"), "{exports:?}");
    assert!(!exports.iter().any(|export| export.starts_with("_IO")), "nothing of IOKit's name");
}
