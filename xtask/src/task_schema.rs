//! `schema`: the JSON Schemas of the tape, of protocol descriptions, of redaction policies and of reports.

use crate::exit::Failure;
use crate::output::Output;
use crate::place::{shown, workspace};
use clap::{Args, ValueEnum};

/// What a schema is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Of {
    /// The lines of a tape.
    #[default]
    Tape,
    /// A protocol description.
    Protocol,
    /// A redaction policy.
    Policy,
    /// The manifest of a report.
    Report,
}

impl Of {
    const ALL: [Self; 4] = [Self::Tape, Self::Protocol, Self::Policy, Self::Report];

    fn schema(self) -> String {
        match self {
            Self::Tape => dextape::tape::schema::schema(),
            Self::Protocol => dextape::protocol::schema(),
            Self::Policy => dextape::redaction::schema(),
            Self::Report => dextape_lab::report_schema(),
        }
    }

    /// Where it is checked in, from the root of the workspace.
    const fn checked_in(self) -> &'static str {
        match self {
            Self::Tape => "harness/schema/tape.schema.json",
            Self::Protocol => "harness/schema/protocol.schema.json",
            Self::Policy => "harness/schema/policy.schema.json",
            Self::Report => "harness/schema/report.schema.json",
        }
    }
}

/// What becomes of the schemas.
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Which schema is printed.
    #[arg(value_enum, default_value_t, conflicts_with_all = ["check", "write"])]
    of: Of,
    /// Only see whether the checked-in schemas are those of the types.
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Check the schemas of the types in.
    #[arg(long)]
    write: bool,
}

/// Prints the schema that the types give, or compares the checked-in ones with them, or replaces those.
pub(crate) fn run(asked: &Schema, out: &mut Output) -> Result<(), Failure> {
    if !asked.check && !asked.write {
        return out.bytes(asked.of.schema().as_bytes());
    }
    for of in Of::ALL {
        let path = workspace().join(of.checked_in());
        let path_shown = shown(&path);
        if asked.write {
            fs_err::write(&path, of.schema()).map_err(Failure::environment)?;
            out.line(path_shown)?;
        } else if fs_err::read_to_string(&path).map_err(Failure::environment)? == of.schema() {
            out.line(format!("{path_shown} is that of the types"))?;
        } else {
            return Err(Failure::Invalid(format!(
                "find the schema of the types in {path_shown}: `cargo xtask schema --write` puts it there"
            )));
        }
    }
    Ok(())
}
