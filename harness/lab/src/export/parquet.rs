//! Rows as a Parquet file: one column after the other, in groups of rows.

use super::column::{COLUMNS, ColumnKind};
use super::row::Row;
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError as Underlying;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde_json::Value;
use std::io::Write;
use std::sync::Arc;

/// Rows of a group: what is held in memory.
const GROUP: usize = 1 << 16;

/// Why no file is written. The text completes "failed to ...".
#[derive(Debug, thiserror::Error)]
#[error("write a Parquet file: {0}")]
pub struct ParquetError(#[from] Underlying);

/// A Parquet file with the columns of [`COLUMNS`], that is being written.
pub struct ParquetRows<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    rows: Vec<Row>,
}

impl<W: Write + Send> std::fmt::Debug for ParquetRows<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetRows").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

impl<W: Write + Send> ParquetRows<W> {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// The output fails.
    pub fn new(to: W) -> Result<Self, ParquetError> {
        let mut fields = Vec::with_capacity(COLUMNS.len());
        for column in COLUMNS {
            let physical = match column.kind {
                ColumnKind::Text => Physical::BYTE_ARRAY,
                ColumnKind::Number => Physical::INT64,
                ColumnKind::Flag => Physical::BOOLEAN,
            };
            let logical = (column.kind == ColumnKind::Text).then_some(LogicalType::String);
            let field = Type::primitive_type_builder(column.name, physical)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(logical)
                .build()?;
            fields.push(Arc::new(field));
        }
        let schema = Type::group_type_builder("events").with_fields(fields).build()?;
        let properties = Arc::new(WriterProperties::builder().build());
        let writer = SerializedFileWriter::new(to, Arc::new(schema), properties)?;
        Ok(Self { writer, rows: Vec::new() })
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// The output fails.
    pub fn row(&mut self, row: Row) -> Result<(), ParquetError> {
        self.rows.push(row);
        if self.rows.len() < GROUP { Ok(()) } else { self.group() }
    }

    fn group(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.rows);
        let mut group = self.writer.next_row_group()?;
        for column in COLUMNS {
            let Some(mut to) = group.next_column()? else { break };
            let cells = || rows.iter().map(|row| row.get(column.name));
            let levels: Vec<i16> = cells().map(|cell| i16::from(cell.is_some())).collect();
            let levels = Some(levels.as_slice());
            match column.kind {
                ColumnKind::Text => {
                    let values: Vec<ByteArray> = cells()
                        .flatten()
                        .map(|cell| cell.as_str().unwrap_or_default().into())
                        .collect();
                    to.typed::<ByteArrayType>().write_batch(&values, levels, None)?;
                }
                ColumnKind::Number => {
                    let number = |cell: &Value| {
                        i64::try_from(cell.as_u64().unwrap_or_default()).unwrap_or(i64::MAX)
                    };
                    let values: Vec<i64> = cells().flatten().map(number).collect();
                    to.typed::<Int64Type>().write_batch(&values, levels, None)?;
                }
                ColumnKind::Flag => {
                    let values: Vec<bool> =
                        cells().flatten().map(|cell| cell == &Value::Bool(true)).collect();
                    to.typed::<BoolType>().write_batch(&values, levels, None)?;
                }
            }
            to.close()?;
        }
        group.close()?;
        Ok(())
    }

    /// Writes what is left, and ends the file.
    ///
    /// # Errors
    ///
    /// The output fails.
    pub fn finish(mut self) -> Result<(), ParquetError> {
        if !self.rows.is_empty() {
            self.group()?;
        }
        self.writer.close()?;
        Ok(())
    }
}
