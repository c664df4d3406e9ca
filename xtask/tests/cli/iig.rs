//! Headers of .iig files.

use crate::common::Folder;

#[test]
fn a_header_stands_beside_its_file_or_where_it_is_wanted() {
    let folder = Folder::new();
    folder.write("Driver.iig", b"class Driver : public IOService\n{\n};\n");
    let said = folder.run(&["iig", "Driver.iig"]);
    assert_eq!((said.code, &said.out[..]), (Some(0), "Driver.h\n"), "{said}");
    let header = String::from_utf8(folder.read("Driver.h")).unwrap();
    assert!(header.contains("#line 1 \"Driver.iig\""), "{header}");
    assert!(header.contains("DEXTAPE_CLASS(Driver, IOService)"), "{header}");
    let said = folder.run(&["--format", "json", "iig", "Driver.iig", "--out", "made/here"]);
    assert_eq!(said.code, Some(0), "{said}");
    assert_eq!(String::from_utf8(folder.read("made/here/Driver.h")).unwrap(), header);
}

#[test]
fn what_cannot_be_made_is_said() {
    let folder = Folder::new();
    folder.write("Open.iig", b"class Driver : public IOService\n{\n");
    folder.write("driver.cpp", b"");
    insta::assert_snapshot!(
        ["Open.iig", "driver.cpp", "none.iig"].map(|file| folder.run(&["iig", file]).to_string()).join("\n"),
        @"
    --- stderr
    error: failed to read Open.iig: line 1: class Driver does not end
    --- exit code 2
    --- stderr
    error: failed to make a header of driver.cpp: it is no .iig file
    --- exit code 2
    --- stderr
    error: failed to open file `none.iig`: No such file or directory (os error 2)
    --- exit code 2
    "
    );
    assert!(!folder.path("Open.h").exists());
}
