//! A description written as a file.

use super::file::{
    FieldText, File, Length, Memory, Number, Property, Scalar, ScalarMore, Selector, StructureText,
};
use super::layout::{
    Element, Field, PointerLength, Protocol, ScalarDescription, SelectorDescription, Structure,
    Values,
};
use super::read::FORMAT;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Protocol {
    /// The description as the text of a file; [`Protocol::from_toml`] gives an equal one back.
    ///
    /// # Panics
    ///
    /// Never: what a description holds can be written.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut file = File {
            format: FORMAT,
            name: self.name.clone(),
            services: self.services.clone(),
            ..File::default()
        };
        for structure in self.structures.values() {
            add_structure(structure, &mut file);
        }
        for (number, selector) in &self.selectors {
            let text = write_selector(selector, &mut file);
            file.selectors.insert(number.to_string(), text);
        }
        for (number, memory) in &self.memory {
            let text = Memory {
                name: memory.name.clone(),
                layout: memory.layout.as_ref().map(|layout| add_structure(layout, &mut file)),
                repeated: memory.repeated,
                capture: memory.capture,
            };
            file.memory.insert(number.to_string(), text);
        }
        file.results = self
            .results
            .iter()
            .map(|(code, name)| (format!("{code:#010x}"), name.clone()))
            .collect();
        file.properties = self
            .properties
            .iter()
            .map(|(key, kind)| (key.clone(), Property { kind: *kind }))
            .collect();
        toml::to_string(&file).expect("a description holds only what TOML can")
    }
}

fn write_selector(selector: &SelectorDescription, file: &mut File) -> Selector {
    Selector {
        name: selector.name.clone(),
        inputs: write_scalars(&selector.inputs, file),
        outputs: write_scalars(&selector.outputs, file),
        input: selector.input.as_ref().map(|structure| add_structure(structure, file)),
        output: selector.output.as_ref().map(|structure| add_structure(structure, file)),
        completion: write_scalars(&selector.completion, file),
        sticky: selector.sticky,
    }
}

fn write_scalars(scalars: &[ScalarDescription], file: &mut File) -> Vec<Scalar> {
    let name = |index: usize| scalars.get(index).map(|scalar| scalar.name.clone());
    let mut write = |scalar: &ScalarDescription| {
        let plain = ScalarDescription::new(&*scalar.name);
        if *scalar == plain {
            return Scalar::Name(plain.name);
        }
        let (names, flags) = add_values(scalar.values.as_ref(), file);
        Scalar::More(ScalarMore {
            name: scalar.name.clone(),
            kind: scalar.kind,
            length: write_length(scalar.length, name),
            names,
            flags,
            show: scalar.show,
        })
    };
    scalars.iter().map(&mut write).collect()
}

fn write_length(
    length: Option<PointerLength>,
    name: impl Fn(usize) -> Option<String>,
) -> Option<Length> {
    match length? {
        PointerLength::Bytes(bytes) => Some(Length::Bytes(bytes)),
        PointerLength::Field(index) => name(index).map(Length::Field),
    }
}

fn add_structure(structure: &Arc<Structure>, file: &mut File) -> String {
    if !file.structures.contains_key(&structure.name) {
        let fields = structure.fields.iter().map(|field| write_field(field, structure, file));
        let fields = fields.collect();
        let text =
            StructureText { size: Some(structure.size as u64), fields, ..StructureText::default() };
        file.structures.insert(structure.name.clone(), text);
    }
    structure.name.clone()
}

fn write_field(field: &Field, structure: &Structure, file: &mut File) -> FieldText {
    let mut count = field.count.map(|count| count as u64);
    let of = match &field.element {
        Element::Unsigned(size) => format!("u{}", 8 * size),
        Element::Signed(size) => format!("i{}", 8 * size),
        Element::Float(size) => format!("f{}", 8 * size),
        Element::Bytes(size) => {
            count = Some(*size as u64);
            "bytes".to_owned()
        }
        Element::Text(size) => {
            count = Some(*size as u64);
            "text".to_owned()
        }
        Element::Structure(structure) => add_structure(structure, file),
    };
    let (names, flags) = add_values(field.values.as_ref(), file);
    FieldText {
        name: field.name.clone(),
        of,
        at: Some(field.at as u64),
        count,
        endian: Some(field.endian).filter(|endian| *endian != super::Endian::Little),
        kind: field.kind,
        length: write_length(field.length, |index| {
            structure.fields.get(index).map(|field| field.name.clone())
        }),
        names,
        flags,
        show: field.show,
    }
}

fn add_values(values: Option<&Arc<Values>>, file: &mut File) -> (Option<String>, Option<String>) {
    let number = |value: u64| match i64::try_from(value) {
        Ok(value) => Number::Number(value),
        Err(_) => Number::Text(format!("{value:#x}")),
    };
    let table = |names: &BTreeMap<u64, String>| {
        names.iter().map(|(value, name)| (name.clone(), number(*value))).collect()
    };
    match values.map(|values| &**values) {
        None => (None, None),
        Some(Values::Enum(name, names)) => {
            file.enums.entry(name.clone()).or_insert_with(|| table(names));
            (Some(name.clone()), None)
        }
        Some(Values::Flags(name, names)) => {
            file.flags.entry(name.clone()).or_insert_with(|| table(names));
            (None, Some(name.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
        format = 1
        name = "Ring"
        services = ["RingDriver"]
        [selectors.0x10]
        name = "submit"
        inputs = ["slot", { name = "buffer", kind = "pointer", length = "size" }, "size"]
        outputs = [{ name = "state", enum = "State" }]
        input = "Request"
        output = "Reply"
        completion = [{ name = "status", show = "result" }]
        sticky = true
        [structures.Reply]
        fields = [{ name = "inner", type = "Request", count = 2 }]
        [structures.Request]
        endian = "big"
        packed = true
        fields = [
            { name = "id", type = "u8", kind = "issued" },
            { name = "at", type = "u64", kind = "pointer", length = 16 },
            { name = "bits", type = "u64", flags = "Bits" },
            { name = "name", type = "text", count = 8, kind = "private" },
            { name = "below", type = "i16" },
            { name = "value", type = "f64" },
            { name = "pad", type = "bytes", count = 3, kind = "padding" },
        ]
        [enums.State]
        idle = 0
        gone = -1
        [flags.Bits]
        low = 1
        high = "0x8000000000000000"
        [memory.0]
        name = "ring"
        layout = "Request"
        repeated = true
        capture = "ordinary"
        [results]
        0xe0000bad = "RingFull"
        [properties]
        IOPlatformSerialNumber = { kind = "private" }
    "#;

    #[test]
    fn what_is_written_reads_as_the_same() {
        let protocol = Protocol::from_toml(FULL).unwrap();
        assert_eq!(Protocol::from_toml(&protocol.to_toml()).unwrap(), protocol);
        let request = &protocol.structures["Request"];
        let places: Vec<usize> = request.fields.iter().map(|field| field.at).collect();
        assert_eq!((places, request.size), (vec![0, 1, 9, 17, 25, 27, 35], 38));
        assert_eq!(protocol.structures["Reply"].size, 76);
        let submit = &protocol.selectors[&16];
        assert_eq!(submit.inputs[1].length, Some(PointerLength::Field(2)));
        assert_eq!(submit.outputs[0].describe(u64::MAX), format!("gone ({})", u64::MAX));
        assert_eq!(submit.outputs[0].describe(3), "3");
        assert_eq!(protocol.sticky_selectors().collect::<Vec<_>>(), [16]);
        assert_eq!(protocol.result_text(crate::IoReturn(0xe000_0bad)), "RingFull (0xe0000bad)");
        assert!(protocol.describes("RingDriver") && !protocol.describes("Other"));
    }
}
