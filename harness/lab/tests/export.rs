//! Tapes as tables.

use dextape::tape::TapeReader;
use dextape::tape::sample::every_kind;
use dextape_lab::{COLUMNS, ColumnKind, Hex, Row, Rows, summary};

fn reader() -> TapeReader {
    let text = every_kind().to_text().unwrap();
    TapeReader::from_bytes(text.into_bytes()).unwrap()
}

fn rows() -> Vec<Row> {
    let mut reader = reader();
    let mut rows = Rows::new("a.tape.jsonl", reader.header(), &Hex);
    let mut made = Vec::new();
    while let Some(event) = reader.next() {
        made.push(rows.row(&event.unwrap(), Some(&reader)));
    }
    made
}

#[test]
fn every_event_is_a_row_of_the_columns_that_are_told() {
    let rows = rows();
    assert_eq!(rows.len(), every_kind().events().len());
    for row in &rows {
        for (name, value) in row {
            let column = COLUMNS.iter().find(|column| column.name == name).unwrap();
            let fits = match column.kind {
                ColumnKind::Text => value.is_string(),
                ColumnKind::Number => value.is_u64(),
                ColumnKind::Flag => value.is_boolean(),
            };
            assert!(fits, "{name}: {value}");
        }
    }
    for column in COLUMNS {
        let known =
            column.name == "selector_name" || rows.iter().any(|row| row.contains_key(column.name));
        assert!(known, "no event has {}", column.name);
    }
}

#[test]
fn what_comes_of_a_call_names_the_call() {
    let rows = rows();
    let of_call: Vec<_> = rows
        .iter()
        .filter(|row| row.get("call").is_some_and(|call| call == 30))
        .map(|row| (row["sequence"].as_u64().unwrap(), row["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(
        of_call,
        [
            (30, "async_call"),
            (31, "posted"),
            (32, "return"),
            (34, "delivered"),
            (36, "posted"),
            (37, "delivered"),
            (42, "patch"),
        ]
    );
    let failed = rows.iter().find(|row| row["sequence"] == 18).unwrap();
    assert_eq!(failed["result"], "kIOReturnBadArgument");
    assert_eq!(failed["failed"], true);
    assert_eq!(failed["selector"], 2);
    assert_eq!(failed["service"], "SampleDriver");
    assert_eq!(failed["duration_ns"], 1000);
}

#[test]
fn a_tape_is_one_row_of_an_index() {
    let row = summary("a.tape.jsonl", reader()).unwrap();
    assert_eq!(row["events"], every_kind().events().len());
    assert_eq!(row["selectors"]["1"], 1);
    assert_eq!(row["first_failure"], 2);
    assert_eq!(row["services"][0], "SampleDriver");
}

/// The file is read again by the library's own reader, row by row.
#[cfg(feature = "parquet")]
#[test]
fn a_parquet_file_holds_the_same_rows() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    let path = tempfile::tempdir().unwrap().keep().join("events.parquet");
    let file = std::fs::File::create(&path).unwrap();
    let mut written = dextape_lab::ParquetRows::new(file).unwrap();
    let rows = rows();
    for row in rows.clone() {
        written.row(row).unwrap();
    }
    written.finish().unwrap();
    let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
    let read: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    assert_eq!(read.len(), rows.len());
    for (read, row) in read.iter().zip(&rows) {
        for (name, field) in read.get_column_iter() {
            let same = match (field, row.get(name)) {
                (Field::Null, None) => true,
                (Field::Str(text), Some(value)) => value == text,
                (Field::Long(number), Some(value)) => value == number,
                (Field::Bool(flag), Some(value)) => value == flag,
                _ => false,
            };
            assert!(same, "{name}: {field:?}, {:?}", row.get(name));
        }
    }
}
