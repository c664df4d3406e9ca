//! How a description is read, and its names looked up.

use super::error::ProtocolError;
use super::file::{FieldText, File, Length, Number, Scalar, ScalarMore, StructureText};
use super::layout::{
    Element, Field, MemoryDescription, PointerLength, Protocol, ScalarDescription,
    SelectorDescription, Structure, Values,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// The only version of the format.
pub(super) const FORMAT: u32 = 1;

/// The most bytes of a description.
const FILE_MAX: u64 = 1 << 20;

/// The most bytes of a structure, of an array and of all that stands in it.
const STRUCTURE_MAX: u64 = 1 << 30;

/// Structures within structures.
const DEPTH_MAX: usize = 16;

impl Protocol {
    /// Reads a description from a file of at most 1 MiB.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is too large, is not TOML, or contradicts itself.
    pub fn read(path: &Path) -> Result<Self, ProtocolError> {
        let io = |source| ProtocolError::Io { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(io)?;
        let mut text = String::new();
        file.take(FILE_MAX + 1).read_to_string(&mut text).map_err(io)?;
        Self::from_toml(&text)
    }

    /// Reads a description.
    ///
    /// # Errors
    ///
    /// The text is too large, is not TOML, or contradicts itself: two fields of one name, a structure
    /// within itself, a field behind the end of its structure, a name that nothing has.
    pub fn from_toml(text: &str) -> Result<Self, ProtocolError> {
        if text.len() as u64 > FILE_MAX {
            return Err(ProtocolError::TooLarge { max: FILE_MAX });
        }
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = text.get(..at).unwrap_or("");
            ProtocolError::Syntax {
                line: before.matches('\n').count() + 1,
                column: before.rsplit('\n').next().unwrap_or("").chars().count() + 1,
                message: error.message().trim_end().replace('\n', ", "),
            }
        })?;
        resolve(&file)
    }
}

/// The JSON Schema of a description, as a text that ends in a line feed.
///
/// # Examples
///
/// ```
/// assert!(dextape::protocol::schema().contains("\"selectors\""));
/// ```
#[cfg(feature = "schema")]
#[must_use]
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(File);
    schema.insert("title".to_owned(), "A protocol description of dextape".into());
    let mut text = format!("{:#}", schema.as_value());
    text.push('\n');
    text
}

fn resolve(file: &File) -> Result<Protocol, ProtocolError> {
    if file.format != FORMAT {
        return Err(ProtocolError::meaning(
            "format",
            format!("it is {}, and only {FORMAT} is known", file.format),
        ));
    }
    let mut values = BTreeMap::new();
    for (name, table) in &file.enums {
        let numbers = numbers(&format!("enums.{name}"), table)?;
        values.insert(name.as_str(), Arc::new(Values::Enum(name.clone(), numbers)));
    }
    let mut flags = BTreeMap::new();
    for (name, table) in &file.flags {
        let numbers = numbers(&format!("flags.{name}"), table)?;
        flags.insert(name.as_str(), Arc::new(Values::Flags(name.clone(), numbers)));
    }
    let mut looked_up =
        LookUp { file, enums: values, flags, done: BTreeMap::new(), above: Vec::new() };
    for name in file.structures.keys() {
        looked_up.structure(name, "structures")?;
    }
    let mut protocol = Protocol {
        name: file.name.clone(),
        services: file.services.clone(),
        ..Protocol::default()
    };
    for (key, selector) in &file.selectors {
        let place = format!("selectors.{key}");
        let number = number_key(key, &place)?;
        let structure = |name: &Option<String>, what: &str, looked_up: &mut LookUp<'_>| {
            name.as_ref()
                .map(|name| looked_up.structure(name, &format!("{place}.{what}")))
                .transpose()
        };
        let description = SelectorDescription {
            name: selector.name.clone(),
            inputs: looked_up.scalars(&selector.inputs, &format!("{place}.inputs"))?,
            outputs: looked_up.scalars(&selector.outputs, &format!("{place}.outputs"))?,
            input: structure(&selector.input, "input", &mut looked_up)?,
            output: structure(&selector.output, "output", &mut looked_up)?,
            completion: looked_up.scalars(&selector.completion, &format!("{place}.completion"))?,
            sticky: selector.sticky,
        };
        if protocol.selectors.insert(number, description).is_some() {
            return Err(ProtocolError::meaning(place, "this selector is described twice"));
        }
    }
    for (key, memory) in &file.memory {
        let place = format!("memory.{key}");
        let number = number_key(key, &place)?;
        let layout = memory.layout.as_ref();
        let description = MemoryDescription {
            name: memory.name.clone(),
            layout: layout
                .map(|name| looked_up.structure(name, &format!("{place}.layout")))
                .transpose()?,
            repeated: memory.repeated,
            capture: memory.capture,
        };
        if protocol.memory.insert(number, description).is_some() {
            return Err(ProtocolError::meaning(place, "this memory type is described twice"));
        }
    }
    for (key, name) in &file.results {
        let place = format!("results.{key}");
        if protocol.results.insert(number_key(key, &place)?, name.clone()).is_some() {
            return Err(ProtocolError::meaning(place, "this code is named twice"));
        }
    }
    protocol.properties =
        file.properties.iter().map(|(key, property)| (key.clone(), property.kind)).collect();
    protocol.structures = looked_up.done;
    Ok(protocol)
}

fn number_key(key: &str, place: &str) -> Result<u32, ProtocolError> {
    let number = match key.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => key.parse(),
    };
    number.map_err(|_| {
        ProtocolError::meaning(place, "expected a number of 32 bits, such as 7 or 0xe0000001")
    })
}

/// Values of an enumeration or masks of flags, by number.
fn numbers(
    place: &str,
    table: &BTreeMap<String, Number>,
) -> Result<BTreeMap<u64, String>, ProtocolError> {
    let mut numbers = BTreeMap::new();
    for (name, number) in table {
        let number = match number {
            Number::Number(number) => number.cast_unsigned(),
            Number::Text(text) => text
                .strip_prefix("0x")
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                .ok_or_else(|| {
                    ProtocolError::meaning(
                        format!("{place}.{name}"),
                        "expected a number, or a text such as \"0x8000000000000000\"",
                    )
                })?,
        };
        if let Some(other) = numbers.insert(number, name.clone()) {
            return Err(ProtocolError::meaning(
                format!("{place}.{name}"),
                format!("{other} has the same value"),
            ));
        }
    }
    Ok(numbers)
}

struct LookUp<'a> {
    file: &'a File,
    enums: BTreeMap<&'a str, Arc<Values>>,
    flags: BTreeMap<&'a str, Arc<Values>>,
    done: BTreeMap<String, Arc<Structure>>,
    /// The structures that are being laid out, the outermost first.
    above: Vec<String>,
}

impl LookUp<'_> {
    fn structure(&mut self, name: &str, user: &str) -> Result<Arc<Structure>, ProtocolError> {
        if let Some(done) = self.done.get(name) {
            return Ok(done.clone());
        }
        let Some(text) = self.file.structures.get(name) else {
            let message = format!("no structure, and no type, is called {name:?}");
            return Err(ProtocolError::meaning(user, message));
        };
        if self.above.iter().any(|above| above == name) {
            return Err(ProtocolError::meaning(user, format!("{name} contains itself")));
        }
        if self.above.len() == DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} structures within each other");
            return Err(ProtocolError::meaning(user, message));
        }
        self.above.push(name.to_owned());
        let structure = Arc::new(self.lay_out(name, text)?);
        self.above.pop();
        self.done.insert(name.to_owned(), structure.clone());
        Ok(structure)
    }

    fn lay_out(&mut self, name: &str, text: &StructureText) -> Result<Structure, ProtocolError> {
        let place = format!("structures.{name}");
        let mut structure = Structure { name: name.to_owned(), ..Structure::default() };
        let mut names = BTreeSet::new();
        let (mut end, mut largest) = (0_u64, 1_u64);
        for field in &text.fields {
            let place = format!("{place}.fields.{}", field.name);
            if field.name.is_empty() || field.name.contains(['.', '[', ']']) {
                return Err(ProtocolError::meaning(
                    place,
                    "expected a name without dots and brackets",
                ));
            }
            if !names.insert(field.name.as_str()) {
                return Err(ProtocolError::meaning(place, "two fields have this name"));
            }
            let (element, count) = self.element(field, &place)?;
            let alignment = if text.packed { 1 } else { element.alignment() as u64 };
            largest = largest.max(alignment);
            let at = field.at.unwrap_or_else(|| end.next_multiple_of(alignment));
            let size = (element.size() as u64).checked_mul(count.unwrap_or(1));
            let behind = size.and_then(|size| at.checked_add(size));
            let Some(behind) = behind.filter(|behind| *behind <= STRUCTURE_MAX) else {
                let message = format!("it ends behind {STRUCTURE_MAX} bytes");
                return Err(ProtocolError::meaning(place, message));
            };
            end = behind;
            structure.size = structure.size.max(behind as usize);
            let endian = field.endian.unwrap_or(text.endian);
            structure.fields.push(Field {
                count: count.map(|count| count as usize),
                endian,
                kind: field.kind,
                values: self.values(field.names.as_ref(), field.flags.as_ref(), &place)?,
                show: field.show,
                ..Field::new(&*field.name, at as usize, element)
            });
        }
        for (index, field) in text.fields.iter().enumerate() {
            structure.fields[index].length = length(
                field.length.as_ref(),
                field.kind,
                |name| text.fields.iter().position(|other| other.name == name),
                &format!("{place}.fields.{}", field.name),
            )?;
        }
        match text.size {
            Some(size) if size < structure.size as u64 => {
                let message = format!("its fields need {} bytes, not {size}", structure.size);
                return Err(ProtocolError::meaning(format!("{place}.size"), message));
            }
            Some(size) if size > STRUCTURE_MAX => {
                let message = format!("more than {STRUCTURE_MAX} bytes");
                return Err(ProtocolError::meaning(format!("{place}.size"), message));
            }
            Some(size) => structure.size = size as usize,
            None => structure.size = structure.size.next_multiple_of(largest as usize),
        }
        Ok(structure)
    }

    fn element(
        &mut self,
        field: &FieldText,
        place: &str,
    ) -> Result<(Element, Option<u64>), ProtocolError> {
        let number = |kind: fn(usize) -> Element, size| Ok((kind(size), field.count));
        match &*field.of {
            "u8" => number(Element::Unsigned, 1),
            "u16" => number(Element::Unsigned, 2),
            "u32" => number(Element::Unsigned, 4),
            "u64" => number(Element::Unsigned, 8),
            "i8" => number(Element::Signed, 1),
            "i16" => number(Element::Signed, 2),
            "i32" => number(Element::Signed, 4),
            "i64" => number(Element::Signed, 8),
            "f32" => number(Element::Float, 4),
            "f64" => number(Element::Float, 8),
            kind @ ("bytes" | "text") => match field.count {
                Some(length) if length <= STRUCTURE_MAX => {
                    let kind = if kind == "bytes" { Element::Bytes } else { Element::Text };
                    Ok((kind(length as usize), None))
                }
                _ => {
                    let message =
                        format!("`count` has to say how many bytes, at most {STRUCTURE_MAX}");
                    Err(ProtocolError::meaning(place, message))
                }
            },
            name => Ok((Element::Structure(self.structure(name, place)?), field.count)),
        }
    }

    fn values(
        &self,
        names: Option<&String>,
        flags: Option<&String>,
        place: &str,
    ) -> Result<Option<Arc<Values>>, ProtocolError> {
        let find = |tables: &BTreeMap<&str, Arc<Values>>, what, name: &String| {
            tables.get(name.as_str()).cloned().map(Some).ok_or_else(|| {
                ProtocolError::meaning(place, format!("no table `{what}.{name}` is there"))
            })
        };
        match (names, flags) {
            (None, None) => Ok(None),
            (Some(name), None) => find(&self.enums, "enums", name),
            (None, Some(name)) => find(&self.flags, "flags", name),
            (Some(_), Some(_)) => {
                Err(ProtocolError::meaning(place, "it is either an enum or flags, not both"))
            }
        }
    }

    fn scalars(
        &self,
        scalars: &[Scalar],
        place: &str,
    ) -> Result<Vec<ScalarDescription>, ProtocolError> {
        let name = |scalar: &Scalar| match scalar {
            Scalar::Name(name) | Scalar::More(ScalarMore { name, .. }) => name.clone(),
        };
        if scalars.len() > crate::limits::SCALARS_MAX {
            let message = format!("more than {} scalars", crate::limits::SCALARS_MAX);
            return Err(ProtocolError::meaning(place, message));
        }
        scalars
            .iter()
            .map(|scalar| {
                let Scalar::More(more) = scalar else {
                    return Ok(ScalarDescription::new(name(scalar)));
                };
                let place = format!("{place}.{}", more.name);
                Ok(ScalarDescription {
                    name: more.name.clone(),
                    kind: more.kind,
                    length: length(
                        more.length.as_ref(),
                        more.kind,
                        |wanted| scalars.iter().position(|other| name(other) == wanted),
                        &place,
                    )?,
                    values: self.values(more.names.as_ref(), more.flags.as_ref(), &place)?,
                    show: more.show,
                })
            })
            .collect()
    }
}

/// The bytes behind a pointer, whose length a field of the same table may say.
fn length(
    length: Option<&Length>,
    kind: super::FieldKind,
    find: impl Fn(&str) -> Option<usize>,
    place: &str,
) -> Result<Option<PointerLength>, ProtocolError> {
    let pointer = kind == super::FieldKind::Pointer;
    match length {
        None if pointer => Err(ProtocolError::meaning(
            place,
            "`length` has to say how many bytes stand behind a pointer",
        )),
        None => Ok(None),
        Some(_) if !pointer => {
            Err(ProtocolError::meaning(place, "`length` is for what has `kind = \"pointer\"`"))
        }
        Some(Length::Bytes(bytes)) => Ok(Some(PointerLength::Bytes(*bytes))),
        Some(Length::Field(name)) => match find(name) {
            Some(index) => Ok(Some(PointerLength::Field(index))),
            None => {
                Err(ProtocolError::meaning(place, format!("no field beside it is called {name:?}")))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("failed to {}", Protocol::from_toml(text).unwrap_err())
    }

    #[test]
    fn errors_name_place_and_remedy() {
        let fields = |fields: &str| format!("format = 1\n[structures.A]\nfields = [{fields}]");
        let all = [
            error("format = 2"),
            error("format = 1\nselector = 3"),
            error("format = 1\n[selectors.0]\nnam = 1"),
            error("format = 1\n[selectors.x]\nname = \"a\""),
            error("format = 1\n[selectors.1]\nname = \"a\"\n[selectors.0x1]\nname = \"b\""),
            error("format = 1\n[selectors.1]\nname = \"a\"\ninput = \"B\""),
            error(&fields("{ name = \"a\", type = \"A\" }")),
            error(&fields("{ name = \"a\", type = \"u9\" }")),
            error(&fields("{ name = \"a.b\", type = \"u8\" }")),
            error(&fields("{ name = \"a\", type = \"u8\" }, { name = \"a\", type = \"u8\" }")),
            error(&fields("{ name = \"a\", type = \"bytes\" }")),
            error(&fields("{ name = \"a\", type = \"u64\", count = 0x7fffffffffffffff }")),
            error(&fields("{ name = \"a\", type = \"u8\", at = 0x7fffffffffffffff }")),
            error(&fields("{ name = \"a\", type = \"u64\", kind = \"pointer\" }")),
            error(&fields("{ name = \"a\", type = \"u64\", length = 3 }")),
            error(&fields("{ name = \"a\", type = \"u64\", kind = \"pointer\", length = \"b\" }")),
            error(&fields("{ name = \"a\", type = \"u64\", enum = \"E\" }")),
            error(
                "format = 1\n[structures.A]\nsize = 1\nfields = [{ name = \"a\", type = \"u16\" }]",
            ),
            error("format = 1\n[enums.E]\na = 1\nb = 1"),
            error("format = 1\n[flags.F]\na = \"8000\""),
        ];
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn structures_within_each_other_have_an_end() {
        let mut text = String::from("format = 1\n");
        for depth in 0..100 {
            let next = depth + 1;
            text += &format!(
                "[structures.s{depth:03}]\nfields = [{{ name = \"a\", type = \"s{next:03}\" }}]\n"
            );
        }
        text += "[structures.s100]\nfields = []\n";
        assert!(error(&text).contains("more than 16 structures within each other"));
        // Doubling thirty times is more than a structure may have.
        let mut text = String::from(
            "format = 1\n[structures.s00]\nfields = [{ name = \"a\", type = \"u64\" }]\n",
        );
        for depth in 1..30 {
            let below = depth - 1;
            text += &format!(
                "[structures.s{depth:02}]\nfields = [{{ name = \"a\", type = \"s{below:02}\", count = 64 }}]\n"
            );
        }
        assert!(error(&text).contains("bytes"), "{}", error(&text));
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(FILE_MAX + 2).unwrap();
        assert!(matches!(Protocol::read(file.path()), Err(ProtocolError::TooLarge { .. })));
        let missing = Protocol::read(Path::new("no-such-file.toml")).unwrap_err();
        assert!(missing.to_string().starts_with("read no-such-file.toml: "), "{missing}");
    }
}
