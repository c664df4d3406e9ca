//! What works on tapes as data.
//!
//! - [`cut`](cut()): a whole tape becomes the one that a flight recorder would have cut.
//! - [`diff`](diff()): two tapes beside each other, field by field.
//! - [`drive`](drive()): the tape plays the client, a dext answers, and its answers are compared with
//!   those of the tape.
//! - [`Rows`], [`summary`]: tapes as tables, for DuckDB, DataFusion or Spark.
//! - [`import_imf`]: a log of IMF's interposer becomes a tape.
//! - [`learn`](learn()): several recordings of one run become a tape that serves further ones; [`trial`]
//!   measures how well.
//! - [`parting`]: where two runs of one seed part, and the likely reason.
//! - [`facts_of`]: what the calls of a tape exercise; [`ShownRules`]: which rules of the boundary it shows.
//! - [`TapeProfile`]: how much of what a tape does others do, too.
//! - [`minimize`](minimize()): a tape that brings a failure about becomes the smallest one that does.
//!   [`Lenient`] answers a client from what is left of a tape, [`Regression`] keeps it for a test.
//! - [`pack_report`] makes one file of tapes and what belongs to them, behind a gate; [`Bundle`] reads it.
//! - [`page`], [`diff_page`], [`perfetto`]: something to look at.
//! - [`propose`](propose()): a first protocol description, guessed from tapes.
//! - [`redact`](redact()) takes private values out of a tape; [`find_private`] looks for what is left.

#![forbid(unsafe_code)]

mod coverage;
mod cut;
mod determinism;
mod diff;
mod drive;
mod export;
mod import;
mod learn;
mod lenient;
mod likeness;
mod minimize;
mod picture;
mod propose;
mod redact;
mod regression;
mod report;
mod shown;
mod trial;
mod view;

pub use coverage::{COMPLETIONS_MAX, Fact, facts_of};
pub use cut::{CutError, CutOptions, cut};
pub use determinism::{Parting, Source, parting};
pub use diff::{
    Change, Diff, DiffCounts, DiffEntry, DiffOptions, DiffSide, DiffText, FieldChange,
    VolatileField, diff,
};
pub use drive::{
    Difference, DifferenceKind, DriveError, DriveOptions, DriveReport, drive, planned_faults,
};
pub use export::{COLUMNS, Column, ColumnKind, Row, Rows, summary};
#[cfg(feature = "parquet")]
pub use export::{ParquetError, ParquetRows};
pub use import::{ImportError, ImportReport, import_imf};
pub use learn::{
    FieldClass, LearnError, LearnReport, Learned, LearnedField, Redaction, RedactionReason, learn,
};
pub use lenient::{Lenient, LenientError, LenientReport, is_marked, mark};
pub use likeness::{NEAR, TapeProfile};
pub use minimize::{
    Attempt, Baseline, Driven, Failure, MakeBaseline, MinimizeError, MinimizeOptions, Minimized,
    Mode, Progress, ProgressFn, TRIMMED, answered, answered_over, lay_over, message_class,
    minimize, minimize_apart, minimize_over, places_over,
};
#[cfg(feature = "tui")]
pub use picture::terminal;
pub use picture::{EVENTS_MAX, Mark, MarkKind, PageError, diff_page, fault_marks, page, perfetto};
pub use propose::{Proposal, ProposeError, propose};
pub use redact::{
    Leak, PrivateValue, RedactError, Redacted, VALUE_MAX, VALUE_MIN, find_private, redact,
};
pub use regression::{REDACTION_PENDING, Regression, RegressionError, driven};
#[cfg(feature = "schema")]
pub use report::report_schema;
pub use report::{
    Bundle, BundleError, FileEntry, Gate, Manifest, PackError, Packed, REPORT_EVENTS_MAX, Report,
    TapeEntry, pack_report,
};
pub use shown::{Shown, ShownRules};
pub use trial::{Failed, FailedHow, Trial, TrialError, trial};
pub use view::{Hex, NamedField, Names, Part};
