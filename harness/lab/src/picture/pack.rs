//! Columns of numbers and a JSON value as one compressed text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use miniz_oxide::deflate::compress_to_vec_zlib;
use serde_json::{Map, Value, json};

/// Effort of the compression: what zlib does by default.
const LEVEL: u8 = 6;

/// Columns must begin at multiples of the widest number.
const ALIGNMENT: usize = 8;

/// What goes into a page: a JSON value, and columns of numbers or bytes that it names under `columns`, each
/// with its type, first byte and length in elements. A column's first byte is counted behind the JSON.
#[derive(Debug, Default)]
pub(super) struct Pack {
    columns: Map<String, Value>,
    bytes: Vec<u8>,
}

impl Pack {
    pub(super) fn integers(&mut self, name: String, numbers: &[i32]) {
        self.column(name, "i32", numbers.len(), numbers.iter().flat_map(|it| it.to_le_bytes()));
    }

    pub(super) fn floats(&mut self, name: String, numbers: &[f64]) {
        self.column(name, "f64", numbers.len(), numbers.iter().flat_map(|it| it.to_le_bytes()));
    }

    pub(super) fn octets(&mut self, name: String, bytes: &[u8]) {
        self.column(name, "u8", bytes.len(), bytes.iter().copied());
    }

    fn column(&mut self, name: String, kind: &str, length: usize, bytes: impl Iterator<Item = u8>) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        self.columns.insert(name, json!([kind, self.bytes.len(), length]));
        self.bytes.extend(bytes);
    }

    /// The length of the JSON in four bytes, low first; the JSON, filled up with blanks to a multiple of
    /// eight; the columns; all of it as zlib writes it, in base64.
    pub(super) fn text(self, mut told: Map<String, Value>) -> String {
        told.insert("columns".to_owned(), Value::Object(self.columns));
        let mut json = Value::Object(told).to_string().into_bytes();
        json.resize((json.len() + 4).next_multiple_of(ALIGNMENT) - 4, b' ');
        let mut whole = Vec::with_capacity(4 + json.len() + self.bytes.len());
        whole.extend((json.len() as u32).to_le_bytes());
        whole.extend(json);
        whole.extend(self.bytes);
        STANDARD.encode(compress_to_vec_zlib(&whole, LEVEL))
    }
}
