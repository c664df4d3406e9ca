//! Tapes as tables, so that many can be asked questions with DuckDB, DataFusion or Spark.
//!
//! `row` makes one row of each event, `column` says what the columns are, `summary` makes one row of a tape,
//! `parquet` (feature of the same name) writes rows in columns.

mod column;
#[cfg(feature = "parquet")]
mod parquet;
mod row;
mod summary;

pub use column::{COLUMNS, Column, ColumnKind};
#[cfg(feature = "parquet")]
pub use parquet::{ParquetError, ParquetRows};
pub use row::{Row, Rows};
pub use summary::summary;
