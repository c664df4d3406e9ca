//! The result codes beside the reference table, which lies outside the project: where it is absent the
//! trial is ignored by name, and counted.

use dextape::IoReturn;
use dextape::io_return::{NAMED_CODES, SUBSYSTEMS};
use libtest_mimic::{Arguments, Completion, Trial};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/ioreturn.tsv");
    let text = std::fs::read_to_string(&table);
    let trial =
        Trial::ignorable_test("names_are_those_of_the_reference_table", move || match text {
            Ok(text) => compare(&text).map(|()| Completion::Completed).map_err(Into::into),
            Err(_) => Ok(Completion::ignored_with("../shared/reference/ioreturn.tsv is not there")),
        });
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

/// Every row of the table is known here under its name and value, and nothing else is.
fn compare(text: &str) -> Result<(), String> {
    let mut rows = 0;
    for line in text.lines().skip(1) {
        let mut columns = line.split('\t');
        let (Some(name), Some(hex)) = (columns.next(), columns.next()) else {
            return Err(format!("a row without two columns: {line:?}"));
        };
        let digits = hex.trim_start_matches("0x");
        let value = u32::from_str_radix(digits, 16).map_err(|error| format!("{hex}: {error}"))?;
        let known = if name.starts_with("sub_") {
            SUBSYSTEMS.iter().find(|(known, _)| *known == name).map(|(_, first)| *first)
        } else {
            NAMED_CODES.iter().find(|(known, _)| *known == name).map(|(_, code)| code.0)
        };
        if known != Some(value) {
            return Err(format!("{name} is {hex} in the table, and {known:x?} here"));
        }
        if !name.starts_with("sub_") && name.parse() != Ok(IoReturn(value)) {
            return Err(format!("{name} does not read as {hex}"));
        }
        rows += 1;
    }
    let here = NAMED_CODES.len() + SUBSYSTEMS.len();
    if rows == here { Ok(()) } else { Err(format!("{rows} rows in the table, {here} names here")) }
}
