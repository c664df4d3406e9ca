//! What a protocol description says of values that only the client can make sense of: handles, pointers and
//! what differs from run to run.

use dextape::memory::ClientSpace;
use dextape::protocol::{
    Element, FieldKind, PointerLength, Protocol, ScalarDescription, SelectorDescription, Structure,
};
use dextape::tape::{Comparison, Field, FieldRule, Pointed};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most bytes behind one pointer that are recorded; of more nothing is, and the pointer is a symbol.
const POINTED_MAX: u64 = 1 << 20;

/// The most elements of an array of structures that are looked into.
const ELEMENTS_MAX: usize = 256;

/// How long what a pointer leads to is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Bytes(u64),
    /// As many as a field of the call says.
    In(Field),
}

/// A pointer of the calls of one selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pointer {
    field: Field,
    length: Option<Length>,
}

/// Annotations of the calls of one driver, ready for a recorder and a replay.
///
/// # Examples
///
/// ```
/// use dextape::protocol::Protocol;
/// use dextape_recorder::recording::Annotations;
///
/// let protocol = Protocol::from_toml(
///     r#"
///     format = 1
///     [selectors.2]
///     name = "submit"
///     input = "Request"
///     [structures.Request]
///     fields = [
///         { name = "token", type = "u64", kind = "handle" },
///         { name = "buffer", type = "u64", kind = "pointer", length = "size" },
///         { name = "size", type = "u32" },
///         { name = "rest", type = "u32", kind = "volatile" },
///     ]
///     "#,
/// )?;
/// assert_eq!(Annotations::new(&protocol).rules().len(), 3);
/// # Ok::<(), dextape::protocol::ProtocolError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Annotations {
    rules: Vec<FieldRule>,
    pointers: BTreeMap<u32, Vec<Pointer>>,
}

impl Annotations {
    /// What a description says. Fields of the same name are the same symbols, in whichever call.
    #[must_use]
    pub fn new(protocol: &Protocol) -> Self {
        let mut this = Self::default();
        for (selector, description) in &protocol.selectors {
            this.selector(*selector, description);
        }
        this
    }

    /// What a replay is to know, for the tape's header.
    #[must_use]
    pub fn rules(&self) -> &[FieldRule] {
        &self.rules
    }

    fn selector(&mut self, selector: u32, description: &SelectorDescription) {
        let scalars = [(&description.inputs, true), (&description.outputs, false)];
        for (all, is_input) in scalars {
            for (index, scalar) in all.iter().enumerate() {
                let field =
                    if is_input { Field::ScalarInput(index) } else { Field::ScalarOutput(index) };
                let ScalarDescription { name, kind, length, .. } = scalar;
                let length = length.map(|length| match length {
                    PointerLength::Bytes(bytes) => Length::Bytes(bytes),
                    PointerLength::Field(index) => Length::In(Field::ScalarInput(index)),
                });
                self.field(selector, field, name, *kind, length);
            }
        }
        for (structure, is_input) in [(&description.input, true), (&description.output, false)] {
            if let Some(structure) = structure {
                self.structure(selector, structure, 0, is_input);
            }
        }
    }

    fn structure(&mut self, selector: u32, structure: &Structure, at: usize, is_input: bool) {
        let range = |at: usize, size: usize| {
            let (offset, length) = (at as u64, size as u64);
            if is_input {
                Field::StructureInput(offset, length)
            } else {
                Field::StructureOutput(offset, length)
            }
        };
        for field in &structure.fields {
            let start = at.saturating_add(field.at);
            if let Element::Structure(inner) = &field.element {
                for index in 0..field.count.unwrap_or(1).min(ELEMENTS_MAX) {
                    let start = start.saturating_add(index.saturating_mul(inner.size));
                    self.structure(selector, inner, start, is_input);
                }
            }
            let length = field.length.and_then(|length| match length {
                PointerLength::Bytes(bytes) => Some(Length::Bytes(bytes)),
                PointerLength::Field(index) => {
                    let of = structure.fields.get(index)?;
                    Some(Length::In(range(at.saturating_add(of.at), of.size())))
                }
            });
            self.field(selector, range(start, field.size()), &field.name, field.kind, length);
        }
    }

    fn field(
        &mut self,
        selector: u32,
        field: Field,
        name: &str,
        kind: FieldKind,
        length: Option<Length>,
    ) {
        let comparison = match kind {
            FieldKind::Handle => Comparison::Symbol(name.to_owned()),
            // Where two runs lay their memory is one question, whatever the field is called.
            FieldKind::Pointer => Comparison::Symbol("pointer".to_owned()),
            FieldKind::Volatile | FieldKind::Counter | FieldKind::Time | FieldKind::Padding => {
                Comparison::Masked
            }
            // Given back as the tape has it, compared as it is, or a redactor's affair.
            _ => return,
        };
        self.rules.push(FieldRule { selector: Some(selector), on: None, field, comparison });
        let is_input = matches!(field, Field::ScalarInput(_) | Field::StructureInput(..));
        if kind == FieldKind::Pointer && is_input {
            self.pointers.entry(selector).or_default().push(Pointer { field, length });
        }
    }
}

/// Pointers of calls, and how what they lead to is read.
#[derive(Clone, Debug)]
pub struct ClientPointers {
    annotations: Arc<Annotations>,
    space: Arc<dyn ClientSpace>,
}

impl ClientPointers {
    /// Of a client whose memory `space` reaches.
    #[must_use]
    pub fn new(annotations: Arc<Annotations>, space: Arc<dyn ClientSpace>) -> Self {
        Self { annotations, space }
    }

    /// What the pointers of a call lead to now. One that leads nowhere, or to more than is recorded, is left
    /// out.
    pub(crate) fn look(&self, selector: u32, scalars: &[u64], structure: &[u8]) -> Vec<Looked> {
        let pointers = self.annotations.pointers.get(&selector);
        let look = |pointer: &Pointer| {
            let address = Pointed::address(pointer.field, scalars, structure)?;
            let length = match pointer.length? {
                Length::Bytes(bytes) => bytes,
                Length::In(field) => Pointed::address(field, scalars, structure)?,
            };
            let length = usize::try_from(length).ok().filter(|_| length <= POINTED_MAX)?;
            let mut data = vec![0; length];
            let read = address != 0 && length > 0 && self.space.read(address, &mut data);
            read.then_some(Looked { address, pointed: Pointed { field: pointer.field, data } })
        };
        pointers.into_iter().flatten().filter_map(look).collect()
    }

    /// What has changed since there.
    pub(crate) fn changed(&self, before: &[Looked]) -> Vec<Pointed> {
        let changed = |before: &Looked| {
            let mut data = vec![0; before.pointed.data.len()];
            let read = self.space.read(before.address, &mut data);
            let field = before.pointed.field;
            (read && data != before.pointed.data).then_some(Pointed { field, data })
        };
        before.iter().filter_map(changed).collect()
    }
}

/// What a pointer led to.
#[derive(Debug)]
pub(crate) struct Looked {
    address: u64,
    pub(crate) pointed: Pointed,
}
