//! What client pointers inside scalars and structures led to: bytes beside a call, and beside its return
//! where the dext changed them.

use super::event::Event;
use super::header::Field;
use super::hex;
use serde_json::{Map, Value};

/// The most pointers of one call.
const POINTERS_MAX: usize = 64;

/// Bytes that a pointer of the client led to. They stand on the tape under [`KEY`](Self::KEY) of a `call`
/// and `async_call` (as they were when the call was made) and of its `return` (those that were changed by
/// then, as they were then).
///
/// # Examples
///
/// ```
/// use dextape::tape::{Event, Field, Pointed, sample};
///
/// let mut event = sample::every_kind().events()[0].clone();
/// let pointed = [Pointed { field: Field::StructureInput(8, 8), data: vec![1, 2] }];
/// event.extra.insert(Pointed::KEY.to_owned(), Pointed::to_json(&pointed));
/// assert_eq!(Pointed::of(&event)?, pointed);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointed {
    /// The field of the call that holds the pointer: a scalar or a range of the structure handed in.
    pub field: Field,
    /// The bytes.
    pub data: Vec<u8>,
}

impl Pointed {
    /// Key of [`Event::extra`].
    pub const KEY: &str = "pointed";

    /// What an event's pointers led to.
    ///
    /// # Errors
    ///
    /// What was expected instead.
    pub fn of(event: &Event) -> Result<Vec<Self>, String> {
        let Some(value) = event.extra.get(Self::KEY) else { return Ok(Vec::new()) };
        let list = value.as_array().filter(|list| list.len() <= POINTERS_MAX);
        let list = list.ok_or_else(|| format!("`pointed` to be a list of up to {POINTERS_MAX}"))?;
        list.iter().map(Self::read).collect()
    }

    fn read(value: &Value) -> Result<Self, String> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let number = |key: &str| {
            let number = text(key).and_then(hex::number);
            number.ok_or_else(|| format!("`pointed` to have `{key}`, a text such as \"0x10\""))
        };
        let field = match text("field") {
            Some("scalar_input") => {
                let index = value.get("index").and_then(Value::as_u64);
                let index = index.and_then(|index| usize::try_from(index).ok());
                Field::ScalarInput(index.ok_or("`pointed` to have `index`, a number")?)
            }
            Some("structure_input") => Field::StructureInput(number("offset")?, number("length")?),
            _ => return Err("`pointed` to name the field scalar_input or structure_input".into()),
        };
        let mut data = Vec::new();
        if !text("data").is_some_and(|text| hex::decode(text.as_bytes(), &mut data)) {
            return Err("`pointed` to have `data`, bytes in hexadecimal".to_owned());
        }
        Ok(Self { field, data })
    }

    /// The value under [`KEY`](Self::KEY). Fields of other kinds are left out.
    #[must_use]
    pub fn to_json(all: &[Self]) -> Value {
        let one = |pointed: &Self| {
            let mut map = Map::new();
            let mut put = |key: &str, value: Value| drop(map.insert(key.to_owned(), value));
            match pointed.field {
                Field::ScalarInput(index) => {
                    put("field", "scalar_input".into());
                    put("index", index.into());
                }
                Field::StructureInput(offset, length) => {
                    put("field", "structure_input".into());
                    put("offset", format!("{offset:#x}").into());
                    put("length", format!("{length:#x}").into());
                }
                _ => return None,
            }
            let mut data = Vec::new();
            hex::push_bytes(&mut data, &pointed.data);
            put("data", String::from_utf8_lossy(&data).into_owned().into());
            Some(Value::Object(map))
        };
        all.iter().filter_map(one).take(POINTERS_MAX).collect()
    }

    /// The pointer in a call with these scalars and this structure; `None` where it has no such field.
    #[must_use]
    pub fn address(field: Field, scalars: &[u64], structure: &[u8]) -> Option<u64> {
        match field {
            Field::ScalarInput(index) => scalars.get(index).copied(),
            Field::StructureInput(offset, length) => {
                let from = usize::try_from(offset).ok()?;
                let bytes =
                    structure.get(from..from.checked_add(usize::try_from(length).ok()?)?)?;
                let mut word = [0; 8];
                word.get_mut(..bytes.len())?.copy_from_slice(bytes);
                Some(u64::from_le_bytes(word))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_none_is_an_error() {
        let mut event = super::super::sample::every_kind().events()[0].clone();
        let mut error = |text: &str| {
            let value = serde_json::from_str(text).unwrap();
            event.extra.insert(Pointed::KEY.to_owned(), value);
            Pointed::of(&event).unwrap_err()
        };
        assert_eq!(error("7"), "`pointed` to be a list of up to 64");
        assert_eq!(
            error(r#"[{"field":"reference"}]"#),
            "`pointed` to name the field scalar_input or structure_input"
        );
        assert_eq!(error(r#"[{"field":"scalar_input"}]"#), "`pointed` to have `index`, a number");
        assert_eq!(
            error(r#"[{"field":"scalar_input","index":0,"data":"0"}]"#),
            "`pointed` to have `data`, bytes in hexadecimal"
        );
    }

    #[test]
    fn a_pointer_is_found_in_its_field_or_nowhere() {
        let structure = [1, 0, 0, 0, 2, 1, 0, 0];
        let at = |field| Pointed::address(field, &[9], &structure);
        assert_eq!(at(Field::ScalarInput(0)), Some(9));
        assert_eq!(at(Field::ScalarInput(1)), None);
        assert_eq!(at(Field::StructureInput(4, 4)), Some(0x102));
        for (offset, length) in [(4, 5), (u64::MAX, 8), (0, u64::MAX), (8, 1)] {
            assert_eq!(at(Field::StructureInput(offset, length)), None, "{offset} {length}");
        }
    }
}
