//! `CFNumber` and `CFBoolean`.

use super::object::{Body, CfRef, Index, Owned, TypeId, type_id};
use crate::raw::{In, Out};
use std::cmp::Ordering;

/// A number, and the type that it was made as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number {
    pub(crate) value: Magnitude,
    pub(crate) kind: Index,
}

/// Its value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Magnitude {
    /// Whole.
    Whole(i64),
    /// Floating.
    Floating(f64),
}

impl Magnitude {
    pub(crate) fn as_float(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Floating(value) => value,
        }
    }

    pub(crate) fn as_whole(self) -> i64 {
        match self {
            Self::Whole(value) => value,
            Self::Floating(value) => value as i64,
        }
    }

    /// Whether the conversion to a whole number loses nothing.
    fn is_whole(self) -> bool {
        matches!(self, Self::Whole(_)) || self.as_float() == self.as_whole() as f64
    }
}

/// `kCFNumberSInt64Type`.
pub(crate) const SINT64: Index = 4;

/// What a `CFNumberType` is: bytes, and whether it floats.
fn layout(kind: Index) -> Option<(usize, bool)> {
    Some(match kind {
        1 | 7 => (1, false),
        2 | 8 => (2, false),
        3 | 9 => (4, false),
        4 | 10 | 11 | 14 | 15 => (8, false),
        5 | 12 => (4, true),
        6 | 13 | 16 => (8, true),
        _ => return None,
    })
}

fn number_of(value: CfRef) -> Option<Number> {
    match &value.get()?.body {
        Body::Number(number) => Some(*number),
        Body::Boolean(value) => {
            Some(Number { value: Magnitude::Whole(i64::from(*value)), kind: 7 })
        }
        _ => None,
    }
}

export! {
    fn CFBooleanGetTypeID() -> TypeId {
        type_id::BOOLEAN
    }

    fn CFBooleanGetValue(value: CfRef) -> u8 {
        u8::from(matches!(value.object().body, Body::Boolean(true)))
    }

    fn CFNumberGetTypeID() -> TypeId {
        type_id::NUMBER
    }

    fn CFNumberCreate(_allocator: CfRef, kind: Index, place: In<u8>) -> CfRef {
        let value = match layout(kind) {
            Some((1, false)) => Magnitude::Whole(i64::from(place.cast::<i8>().read_at(0))),
            Some((2, false)) => {
                Magnitude::Whole(i64::from(i16::from_ne_bytes(place.cast::<u16>().read_at(0).to_ne_bytes())))
            }
            Some((4, false)) => Magnitude::Whole(i64::from(place.cast::<i32>().read_at(0))),
            Some((_, false)) => Magnitude::Whole(place.cast::<i64>().read_at(0)),
            Some((4, true)) => Magnitude::Floating(f64::from(place.cast::<f32>().read_at(0))),
            Some((_, true)) => Magnitude::Floating(place.cast::<f64>().read_at(0)),
            None => return CfRef::NULL,
        };
        Owned::make(Body::Number(Number { value, kind })).give()
    }

    fn CFNumberGetValue(value: CfRef, kind: Index, place: Out<u8>) -> u8 {
        let (Some(number), Some(layout)) = (number_of(value), layout(kind)) else { return 0 };
        let (whole, float) = (number.value.as_whole(), number.value.as_float());
        let exact = match layout {
            (1, false) => {
                place.cast::<i8>().put(whole as i8);
                i64::from(whole as i8) == whole
            }
            (2, false) => {
                place.cast::<u16>().put(whole as u16);
                i64::from(whole as i16) == whole
            }
            (4, false) => {
                place.cast::<i32>().put(whole as i32);
                i64::from(whole as i32) == whole
            }
            (_, false) => {
                place.cast::<i64>().put(whole);
                true
            }
            (4, true) => {
                place.cast::<f32>().put(float as f32);
                f64::from(float as f32) == float
            }
            (_, true) => {
                place.cast::<f64>().put(float);
                true
            }
        };
        u8::from(exact && (layout.1 || number.value.is_whole()))
    }

    fn CFNumberGetType(value: CfRef) -> Index {
        number_of(value).map_or(SINT64, |number| number.kind)
    }

    fn CFNumberGetByteSize(value: CfRef) -> Index {
        let kind = number_of(value).map_or(SINT64, |number| number.kind);
        layout(kind).map_or(8, |(bytes, _)| bytes as Index)
    }

    fn CFNumberIsFloatType(value: CfRef) -> u8 {
        let float = |number: Number| matches!(number.value, Magnitude::Floating(_));
        u8::from(number_of(value).is_some_and(float))
    }

    fn CFNumberCompare(a: CfRef, b: CfRef, _context: usize) -> Index {
        let (Some(a), Some(b)) = (number_of(a), number_of(b)) else { return 0 };
        let order = match (a.value, b.value) {
            (Magnitude::Whole(a), Magnitude::Whole(b)) => a.cmp(&b),
            (a, b) => a.as_float().partial_cmp(&b.as_float()).unwrap_or(Ordering::Equal),
        };
        order as Index
    }
}
