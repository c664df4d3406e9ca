//! The names of a protocol description.

use super::names::{NamedField, Names, Part};
use dextape::IoReturn;
use dextape::protocol::{Protocol, ScalarDescription};

/// Values of one structure that are told.
const VALUES_MAX: usize = 512;

impl Names for Protocol {
    fn selector(&self, selector: u32) -> Option<String> {
        self.selector_name(selector).map(str::to_owned)
    }

    fn memory_type(&self, memory_type: u32) -> Option<String> {
        self.memory.get(&memory_type).map(|memory| memory.name.clone())
    }

    fn scalar(&self, part: Part, index: usize) -> Option<String> {
        scalar(self, part, index).map(|scalar| scalar.name.clone())
    }

    fn scalar_value(&self, part: Part, index: usize, value: u64) -> Option<String> {
        // A plain number is told in hex, as everywhere.
        let scalar = scalar(self, part, index)?;
        scalar.values.is_some().then(|| scalar.describe(value))
    }

    fn structure(&self, part: Part, offset: u64, bytes: &[u8]) -> Vec<NamedField> {
        let (structure, repeated) = match part {
            Part::Input { selector } => {
                (self.selectors.get(&selector).and_then(|it| it.input.as_ref()), false)
            }
            Part::Output { selector } => {
                (self.selectors.get(&selector).and_then(|it| it.output.as_ref()), false)
            }
            Part::Memory { memory_type } => {
                let memory = self.memory.get(&memory_type);
                (memory.and_then(|it| it.layout.as_ref()), memory.is_some_and(|it| it.repeated))
            }
            Part::Completion { .. } => (None, false),
        };
        let Some(structure) = structure.filter(|structure| structure.size > 0) else {
            return Vec::new();
        };
        let size = structure.size as u64;
        let mut fields = Vec::new();
        // Bytes may begin within the structure, and reach over several of it.
        let mut at = offset;
        let end = offset.saturating_add(bytes.len() as u64);
        while at < end && fields.len() < VALUES_MAX {
            let number = at / size;
            if number > 0 && !repeated {
                break;
            }
            let start = number * size;
            // What stands before the first byte is unknown; its fields are left out.
            let before = (at - start) as usize;
            let held = (end.min(start.saturating_add(size)) - at) as usize;
            let from = (at - offset) as usize;
            let mut whole = vec![0; before];
            whole.extend_from_slice(&bytes[from..from + held]);
            for value in structure.decode(&whole, VALUES_MAX) {
                if value.at < before || fields.len() == VALUES_MAX {
                    continue;
                }
                let place = if repeated { format!("[{number}].") } else { String::new() };
                fields.push(NamedField {
                    name: format!("{place}{}", value.path),
                    offset: start + value.at as u64,
                    length: value.size as u64,
                    value: value.to_string(),
                });
            }
            at = start.saturating_add(size);
        }
        fields
    }

    fn result(&self, result: IoReturn) -> Option<String> {
        self.results.get(&result.0).cloned()
    }
}

fn scalar(protocol: &Protocol, part: Part, index: usize) -> Option<&ScalarDescription> {
    let (Part::Input { selector } | Part::Output { selector } | Part::Completion { selector }) =
        part
    else {
        return None;
    };
    let selector = protocol.selectors.get(&selector)?;
    let scalars = match part {
        Part::Input { .. } => &selector.inputs,
        Part::Output { .. } => &selector.outputs,
        _ => &selector.completion,
    };
    scalars.get(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_memory_are_named_wherever_the_bytes_begin() {
        let protocol = Protocol::from_toml(
            r#"
            format = 1
            [structures.Slot]
            fields = [{ name = "head", type = "u32" }, { name = "tail", type = "u32" }]
            [memory.3]
            name = "ring"
            layout = "Slot"
            repeated = true
            "#,
        )
        .unwrap();
        let part = Part::Memory { memory_type: 3 };
        let told: Vec<_> = protocol
            .structure(part, 4, &[1, 0, 0, 0, 2, 0, 0, 0, 3, 0])
            .into_iter()
            .map(|field| (field.name, field.offset, field.value))
            .collect();
        let told: Vec<_> = told.iter().map(|(a, b, c)| (a.as_str(), *b, c.as_str())).collect();
        assert_eq!(told, [("[0].tail", 4, "1"), ("[1].head", 8, "2")]);
        assert_eq!(protocol.memory_type(3).as_deref(), Some("ring"));
    }
}
