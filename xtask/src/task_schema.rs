//! `schema`: the JSON Schema of the tape.

use crate::exit::Failure;
use crate::output::Output;
use crate::place::{shown, workspace};
use clap::Args;
use dextape::tape::schema::schema;

/// Where the schema is checked in, from the root of the workspace.
const CHECKED_IN: &str = "harness/schema/tape.schema.json";

/// What becomes of the schema.
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Only see whether the checked-in schema is that of the types.
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Check the schema of the types in.
    #[arg(long)]
    write: bool,
}

/// Prints the schema that the types give, or compares the checked-in one with it, or replaces that.
pub(crate) fn run(asked: &Schema, out: &mut Output) -> Result<(), Failure> {
    let schema = schema();
    if !asked.check && !asked.write {
        return out.bytes(schema.as_bytes());
    }
    let path = workspace().join(CHECKED_IN);
    let path_shown = shown(&path);
    if asked.write {
        fs_err::write(&path, schema).map_err(Failure::environment)?;
        return out.line(path_shown);
    }
    if fs_err::read_to_string(&path).map_err(Failure::environment)? == schema {
        out.line(format!("{path_shown} is that of the types"))
    } else {
        Err(Failure::Invalid(format!(
            "find the schema of the types in {path_shown}: `cargo xtask schema --write` puts it there"
        )))
    }
}
