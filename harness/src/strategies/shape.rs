//! Structures by the layout that a protocol description has of them.

use crate::protocol::{Element, Endian, Field, Structure, Values};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::fmt;
use std::sync::Arc;

/// Values of a structure that are drawn; what comes after them stays zero.
const VALUES_MAX: usize = 4096;

/// The bytes of a structure, shown by its fields.
#[derive(Clone, PartialEq, Eq)]
pub struct Shaped {
    layout: Arc<Structure>,
    bytes: Vec<u8>,
}

impl Shaped {
    /// The bytes, as many as the layout has.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What they are.
    #[must_use]
    pub fn layout(&self) -> &Arc<Structure> {
        &self.layout
    }
}

impl fmt::Debug for Shaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.layout.name, self.layout.describe(&self.bytes))
    }
}

/// Structures of that layout: named values and set flags more often than others, numbers at the ends of
/// their ranges, text with and without its NUL. Where fields overlap, as in a union, the last one counts.
/// They shrink towards fields that are zero, empty, or the first of their names.
///
/// # Examples
///
/// ```
/// use dextape::protocol::Protocol;
/// use dextape::strategies::structure;
/// use proptest::strategy::{Strategy, ValueTree};
/// use proptest::test_runner::TestRunner;
///
/// let protocol = Protocol::from_toml(
///     r#"
///     format = 1
///     [structures.Request]
///     fields = [
///         { name = "command", type = "u8", enum = "Command" },
///         { name = "size", type = "u16", endian = "big" },
///     ]
///     [enums.Command]
///     read = 5
///     write = 6
///     "#,
/// )?;
/// let requests = structure(&protocol.structures["Request"]);
/// let one = requests.new_tree(&mut TestRunner::deterministic()).unwrap().current();
/// assert_eq!(one.bytes().len(), 4);
/// # Ok::<(), dextape::protocol::ProtocolError>(())
/// ```
pub fn structure(layout: &Arc<Structure>) -> impl Strategy<Value = Shaped> + use<> {
    let mut values = Vec::new();
    collect(layout, 0, &mut values);
    let (places, strategies): (Vec<usize>, Vec<BoxedStrategy<Vec<u8>>>) =
        values.into_iter().unzip();
    let layout = Arc::clone(layout);
    strategies.prop_map(move |values| {
        let mut bytes = vec![0; layout.size];
        for (at, value) in places.iter().zip(values) {
            // A field that goes beyond the size that is stated is cut.
            let end = at.saturating_add(value.len()).min(bytes.len());
            if let Some(place) = bytes.get_mut(*at..end) {
                place.copy_from_slice(&value[..place.len()]);
            }
        }
        Shaped { layout: Arc::clone(&layout), bytes }
    })
}

/// The values of a structure that begins there, with their places.
fn collect(layout: &Structure, base: usize, values: &mut Vec<(usize, BoxedStrategy<Vec<u8>>)>) {
    for field in &layout.fields {
        let at = base.saturating_add(field.at);
        let count = field.count.unwrap_or(1);
        if field.element == Element::Unsigned(1) && field.count.is_some() && field.values.is_none()
        {
            values.push((at, vec(any::<u8>(), count).boxed()));
            continue;
        }
        for index in 0..count {
            if values.len() >= VALUES_MAX {
                return;
            }
            let at = at.saturating_add(index.saturating_mul(field.element.size()));
            match &field.element {
                Element::Structure(inner) => collect(inner, at, values),
                _ => values.push((at, value(field))),
            }
        }
    }
}

fn value(field: &Field) -> BoxedStrategy<Vec<u8>> {
    let endian = field.endian;
    match &field.element {
        Element::Unsigned(size) | Element::Signed(size) => {
            let size = *size;
            let number = match (&field.element, field.values.as_deref()) {
                (_, Some(names)) => named(names, size),
                (Element::Signed(_), None) => signed(size).boxed(),
                (_, None) => unsigned(size).boxed(),
            };
            number.prop_map(move |number| encoded(number, size, endian)).boxed()
        }
        Element::Float(size) => {
            let size = *size;
            let special = select(vec![0.0, 1.0, -1.0, f64::MAX, f64::INFINITY, f64::NAN]);
            let float = prop_oneof![2 => special, 1 => any::<f64>()];
            let bits = float.prop_map(move |float| match size {
                4 => u64::from((float as f32).to_bits()),
                _ => float.to_bits(),
            });
            bits.prop_map(move |bits| encoded(bits, size, endian)).boxed()
        }
        Element::Text(size) => {
            let size = *size;
            let text = vec(b'a'..=b'z', 0..=size);
            text.prop_map(move |mut text| {
                text.resize(size, 0);
                text
            })
            .boxed()
        }
        element => vec(any::<u8>(), element.size()).boxed(),
    }
}

/// Values that have a name, and now and then one that has none.
fn named(names: &Values, size: usize) -> BoxedStrategy<u64> {
    match names {
        Values::Enum(_, names) if !names.is_empty() => {
            let names: Vec<u64> = names.keys().copied().collect();
            prop_oneof![6 => select(names), 1 => unsigned(size)].boxed()
        }
        Values::Flags(_, masks) => {
            let masks: Vec<u64> = masks.keys().copied().collect();
            let set = vec(any::<bool>(), masks.len()).prop_map(move |set| {
                let set = masks.iter().zip(set).filter(|(_, is_set)| *is_set);
                set.fold(0, |all, (mask, _)| all | mask)
            });
            prop_oneof![6 => set, 1 => unsigned(size)].boxed()
        }
        Values::Enum(..) => unsigned(size).boxed(),
    }
}

fn unsigned(size: usize) -> impl Strategy<Value = u64> {
    let most = u64::MAX >> (64 - 8 * size.clamp(1, 8));
    prop_oneof![
        3 => 0_u64..16,
        2 => select(vec![0, 1, most / 2, most / 2 + 1, most - 1, most]),
        2 => 0..=most,
    ]
}

fn signed(size: usize) -> impl Strategy<Value = u64> {
    let most = i64::MAX >> (64 - 8 * size.clamp(1, 8));
    let number = prop_oneof![
        3 => -8_i64..8,
        2 => select(vec![0, -1, most, -most - 1]),
        2 => -most..=most,
    ];
    number.prop_map(|number| number as u64)
}

fn encoded(number: u64, size: usize, endian: Endian) -> Vec<u8> {
    let mut bytes = number.to_le_bytes()[..size.min(8)].to_vec();
    if endian == Endian::Big {
        bytes.reverse();
    }
    bytes
}
