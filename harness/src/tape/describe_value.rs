//! The words of a transcript for the registry: what was looked for, and what values there are.

use super::describe::Description;
use super::payload::Payload;
use crate::registry::{Matching, Value};

impl Description {
    pub(super) fn matching(&mut self, matching: &Matching) {
        for (index, (key, value)) in matching.conditions().enumerate() {
            if index > 0 {
                self.text(", ");
            }
            self.quoted(key);
            self.text(" ");
            self.value(value);
        }
        if matching.conditions().next().is_none() {
            self.text("all");
        }
    }

    pub(super) fn value(&mut self, value: &Value) {
        match value {
            Value::Boolean(boolean) => self.text(if *boolean { "true" } else { "false" }),
            Value::Number(number) => self.hex(*number),
            Value::String(text) => self.quoted(text),
            Value::Data(bytes) => {
                self.text("<");
                self.payload(&Payload::bytes(bytes));
                self.text(">");
            }
            Value::Array(values) => {
                self.text("[");
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        self.text(", ");
                    }
                    self.value(value);
                }
                self.text("]");
            }
            Value::Dictionary(entries) => {
                self.text("{");
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        self.text(", ");
                    }
                    self.quoted(key);
                    self.text(": ");
                    self.value(value);
                }
                self.text("}");
            }
        }
    }
}
