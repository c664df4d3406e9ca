//! Forged files: what stands in the way is what is in them, and a file that lies is an error.

use super::forge::{ARM64E, Forged, X86_64, entitlements, universal};
use super::image::slices;
use super::obstacle::{Obstacle, Way, obstacles, way};
use super::signature::flag;
use super::{Architecture, Program, Slice};
use proptest::prelude::{Just, any, prop_oneof};
use std::path::{Path, PathBuf};

fn read(bytes: &[u8]) -> Vec<Slice> {
    slices(bytes).unwrap()
}

fn at(path: &str, forged: &Forged) -> Program {
    Program { path: PathBuf::from(path), changes_user: false, slices: read(&forged.bytes()) }
}

#[track_caller]
fn judged(path: &str, forged: &Forged) -> (Way, Vec<Obstacle>) {
    let program = at(path, forged);
    let all = obstacles(&program, &program.slices[0]);
    (way(&all), all)
}

fn signed(flags: u32, team: &'static str, names: &[&str]) -> Forged {
    let entitlements = if names.is_empty() { String::new() } else { entitlements(names) };
    Forged { signed: Some((flags, team, entitlements)), ..Forged::default() }
}

const HERE: &str = "/Users/me/client";
const DYLD: &str = "com.apple.security.cs.allow-dyld-environment-variables";
const NO_VALIDATION: &str = "com.apple.security.cs.disable-library-validation";
const USER_CLIENT: &str = "com.apple.developer.driverkit.userclient-access";
const TEAM: &str = "ABCDE12345";

#[test]
fn what_is_read_is_what_was_written() {
    let program = at(HERE, &signed(flag::RUNTIME, TEAM, &[DYLD]));
    let [slice] = &program.slices[..] else { panic!("{program:?}") };
    assert_eq!((slice.architecture, slice.oldest), (Architecture::Arm64, Some(0x000d_0000)));
    assert!(slice.is_dynamic_executable && slice.links("IOKit") && !slice.links("Kit"));
    let signature = slice.signature.as_ref().unwrap();
    assert_eq!(
        (&*signature.identifier, signature.team.as_deref()),
        ("com.example.client", Some(TEAM))
    );
    assert!(signature.is_entitled(DYLD) && !signature.is_entitled(NO_VALIDATION));
}

#[test]
fn an_ad_hoc_program_is_inserted_into() {
    assert_eq!(judged(HERE, &Forged::default()), (Way::Inserted, vec![]));
    assert_eq!(judged("/usr/local/bin/client", &Forged::default()).0, Way::Inserted);
    let unsigned = Forged { signed: None, ..Forged::default() };
    assert_eq!(judged(HERE, &unsigned), (Way::Inserted, vec![Obstacle::Unsigned]));
}

#[test]
fn the_hardened_runtime_wants_two_entitlements() {
    let validation = Obstacle::LibraryValidation(Some(TEAM.to_owned()));
    let bare = judged(HERE, &signed(flag::RUNTIME, TEAM, &[]));
    assert_eq!(bare, (Way::LinkedIn, vec![Obstacle::HardenedRuntime, validation.clone()]));
    let one = judged(HERE, &signed(flag::RUNTIME, TEAM, &[DYLD]));
    assert_eq!(one, (Way::LinkedIn, vec![validation]));
    let both = judged(HERE, &signed(flag::RUNTIME, TEAM, &[DYLD, NO_VALIDATION]));
    assert_eq!(both, (Way::Inserted, vec![]));
    let flagged = signed(flag::REQUIRE_LIBRARY_VALIDATION, "", &[]);
    assert_eq!(judged(HERE, &flagged), (Way::LinkedIn, vec![Obstacle::LibraryValidation(None)]));
}

#[test]
fn an_entitlement_that_is_false_is_none() {
    let text = entitlements(&[DYLD, NO_VALIDATION]).replace("<true/>", "<false/>");
    let forged = Forged { signed: Some((flag::RUNTIME, TEAM, text)), ..Forged::default() };
    assert_eq!(judged(HERE, &forged).0, Way::LinkedIn);
}

#[test]
fn restricted_entitlements_and_sections_leave_linking() {
    let (found, all) = judged(HERE, &signed(0, TEAM, &[USER_CLIENT]));
    let expected = vec![Obstacle::RestrictedEntitlements(vec![USER_CLIENT.to_owned()])];
    assert_eq!((found, all), (Way::LinkedIn, expected));
    for forged in
        [Forged { restrict: true, ..Forged::default() }, signed(flag::RESTRICT, TEAM, &[])]
    {
        assert_eq!(judged(HERE, &forged), (Way::LinkedIn, vec![Obstacle::Restricted]));
    }
    let linked = Forged {
        libraries: vec!["/x/IOKit", "@rpath/libdextape_interpose.dylib"],
        ..Forged::default()
    };
    assert_eq!(judged(HERE, &linked), (Way::LinkedIn, vec![Obstacle::LinkedInAlready]));
}

#[test]
fn apples_own_programs_are_left_alone() {
    let platform = Forged { is_platform: true, processor: ARM64E, ..Forged::default() };
    let (found, all) = judged("/usr/sbin/ioreg", &platform);
    let expected = [Obstacle::ProtectedPath("/usr/"), Obstacle::Arm64e, Obstacle::Platform];
    assert_eq!((found, &all[..]), (Way::Neither, &expected[..]));
}

#[test]
fn each_processor_of_a_universal_file_is_judged() {
    let parts = [
        Forged { processor: X86_64, ..Forged::default() },
        Forged { processor: ARM64E, ..Forged::default() },
    ];
    let program =
        Program { path: HERE.into(), changes_user: true, slices: read(&universal(&parts)) };
    let ways: Vec<_> =
        program.slices.iter().map(|slice| way(&obstacles(&program, slice))).collect();
    assert_eq!(ways, [Way::LinkedIn, Way::Neither]);
    assert_eq!(program.slices[0].architecture, Architecture::X86_64);
}

#[test]
fn what_is_no_program_is_said() {
    let said = |bytes: &[u8]| slices(bytes).unwrap_err();
    insta::assert_snapshot!(
        [
            said(b"#!/bin/sh\n"),
            said(b""),
            said(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0"),
            said(&Forged::default().bytes()[..40]),
            said(&[&[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 40][..], &[0; 1000]].concat()),
            said(&signed(0, TEAM, &["<dict>"]).bytes()),
        ]
        .join("\n"),
        @r"
    a script: name the program that runs it
    expected a program for macOS (Mach-O)
    expected a program for macOS (Mach-O)
    expected a Mach-O image: Invalid Mach-O load command table size
    expected 1 to 16 processors, found 40
    entitlements: expected a property list: UnexpectedXmlOpeningTag (offset 76)
    "
    );
}

/// A program that its signature says is nested very deeply.
#[test]
fn deep_entitlements_are_refused() {
    let text = format!("<plist>{}", "<array>".repeat(100_000));
    let forged = Forged { signed: Some((0, TEAM, text)), ..Forged::default() };
    assert!(slices(&*forged.bytes()).unwrap_err().contains("at most 1024 arrays"));
}

#[test]
fn a_bundle_is_its_program() {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("Client.app");
    let inside = app.join("Contents/MacOS");
    fs_err::create_dir_all(&inside).unwrap();
    let read = || Program::read(&app);
    assert!(read().unwrap_err().to_string().contains("Info.plist"), "{:?}", read());
    let info = |name: &str| {
        let text = format!(
            "<plist><dict><key>CFBundleExecutable</key><string>{name}</string></dict></plist>"
        );
        fs_err::write(app.join("Contents/Info.plist"), text).unwrap();
    };
    info("../../../client");
    assert!(read().unwrap_err().to_string().contains("expected a file's name"), "{:?}", read());
    info("client");
    fs_err::write(inside.join("client"), Forged::default().bytes()).unwrap();
    assert_eq!(read().unwrap().path, inside.join("client"));
    assert!(Program::read(Path::new("/no/such/program")).is_err());
}

#[test]
fn a_dext_is_told_by_its_property_list_and_its_signature() {
    let folder = tempfile::tempdir().unwrap();
    let dext = folder.path().join("com.example.smc.dext");
    fs_err::create_dir_all(&dext).unwrap();
    let info = "<plist><dict><key>CFBundleExecutable</key><string>com.example.smc</string>\
                <key>CFBundleIdentifier</key><string>com.example.smc</string>\
                <key>CFBundleShortVersionString</key><string>2.1</string>\
                <key>CFBundleVersion</key><string>417</string></dict></plist>";
    fs_err::write(dext.join("Info.plist"), info).unwrap();
    let names = "<key>com.apple.developer.driverkit</key><true/>\
                 <key>com.apple.developer.driverkit.userclient-access</key>\
                 <array><string>com.example.smc</string></array><key>off</key><false/>";
    let list = format!("<plist version=\"1.0\"><dict>{names}</dict></plist>");
    let forged = Forged { signed: Some((0, "TEAM123456", list)), ..Forged::default() };
    fs_err::write(dext.join("com.example.smc"), forged.bytes()).unwrap();
    let about = crate::report_client::about_program("dext", &dext).unwrap();
    let told = |name: &str| about.iter().find(|(key, _)| key == name).map(|(_, value)| &**value);
    assert_eq!(told("dext version"), Some("2.1 (417)"));
    assert_eq!(told("dext identifier"), Some("com.example.smc"));
    let entitlements = "com.apple.developer.driverkit, \
                        com.apple.developer.driverkit.userclient-access=[com.example.smc], off=false";
    assert_eq!(told("dext entitlements"), Some(entitlements));
    assert!(
        about.iter().all(|(_, value)| !value.contains("TEAM123456")),
        "who signed it is not told"
    );

    let program = dext.join("com.example.smc");
    fs_err::write(&program, Forged { signed: None, ..Forged::default() }.bytes()).unwrap();
    let about = crate::report_client::about_program("client", &program).unwrap();
    let none = ("client entitlements".to_owned(), "none: it is not signed".to_owned());
    assert_eq!(about, [none]);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(3000))]

    /// Bytes changed, cut off or put in anywhere: an answer or an error, and no more memory than the
    /// file has.
    #[test]
    fn a_damaged_file_is_never_a_panic(
        forged in prop_oneof![
            Just(Forged::default()),
            Just(Forged { restrict: true, processor: X86_64, ..Forged::default() }),
            Just(signed(flag::RUNTIME, TEAM, &[DYLD, USER_CLIENT])),
        ],
        is_universal in any::<bool>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
        words in proptest::collection::vec(
            (any::<proptest::sample::Index>(), prop_oneof![
                Just(u32::MAX), Just(0), Just(0x7fff_ffff), 0_u32..4096,
            ], any::<bool>()),
            0..3,
        ),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut bytes =
            if is_universal { universal(&[forged.clone(), forged]) } else { forged.bytes() };
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        for (place, word, big) in words {
            let place = place.index(bytes.len() - 4) & !3;
            let word = if big { word.to_be_bytes() } else { word.to_le_bytes() };
            bytes[place..place + 4].copy_from_slice(&word);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(slices) = slices(&*bytes) {
            let program = Program { path: HERE.into(), changes_user: false, slices };
            for slice in &program.slices {
                for obstacle in obstacles(&program, slice) {
                    let _ = (obstacle.to_string(), obstacle.remedy());
                }
            }
        }
    }
}
