//! Descriptions of Rust types: those that a client has anyway.

use super::layout::{Element, Structure};
use std::sync::Arc;

/// A `#[repr(C)]` structure that can describe itself. [`described!`](crate::described) implements it.
pub trait Described {
    /// The description: names, places and types of the fields.
    fn structure() -> Structure;
}

/// A type that a field of a described structure can have.
pub trait FieldType {
    /// What one of it is.
    fn element() -> Element;

    /// How many there are, for an array.
    #[must_use]
    fn count() -> Option<usize> {
        None
    }
}

macro_rules! numbers {
    ($($kind:ident: $($of:ty),*;)*) => {
        $($(
            impl FieldType for $of {
                fn element() -> Element {
                    Element::$kind(size_of::<$of>())
                }
            }
        )*)*
    };
}

numbers! {
    Unsigned: u8, u16, u32, u64;
    Signed: i8, i16, i32, i64;
    Float: f32, f64;
}

impl<T: FieldType, const N: usize> FieldType for [T; N] {
    fn element() -> Element {
        // Arrays of arrays are one array: a description knows no more.
        T::element()
    }

    fn count() -> Option<usize> {
        Some(N * T::count().unwrap_or(1))
    }
}

impl<T: Described> FieldType for T {
    fn element() -> Element {
        Element::Structure(Arc::new(T::structure()))
    }
}

/// Declares a structure as it is written, and implements [`Described`](crate::protocol::Described) for it,
/// so that what is sent and what is shown cannot differ.
///
/// # Examples
///
/// ```
/// use dextape::protocol::Described;
///
/// dextape::described! {
///     /// What selector 3 takes.
///     #[derive(Clone, Copy)]
///     #[repr(C)]
///     pub struct Request {
///         /// The key.
///         pub key: u32,
///         /// Where the value goes to.
///         pub slots: [u16; 4],
///     }
/// }
///
/// let structure = Request::structure();
/// assert_eq!((structure.size, structure.fields[1].at), (12, 4));
/// assert_eq!(structure.describe(&[7, 0, 0, 0, 0, 0, 9]), "{key: 7, 5 bytes short}");
/// ```
#[macro_export]
macro_rules! described {
    (
        $(#[$outer:meta])*
        $visibility:vis struct $name:ident {
            $( $(#[$inner:meta])* $field_visibility:vis $field:ident : $of:ty ),* $(,)?
        }
    ) => {
        $(#[$outer])*
        $visibility struct $name {
            $( $(#[$inner])* $field_visibility $field: $of, )*
        }

        impl $crate::protocol::Described for $name {
            fn structure() -> $crate::protocol::Structure {
                $crate::protocol::Structure::of_rust(
                    ::core::stringify!($name),
                    ::core::mem::size_of::<Self>(),
                    ::std::vec![$((
                        ::core::stringify!($field),
                        ::core::mem::offset_of!(Self, $field),
                        <$of as $crate::protocol::FieldType>::element(),
                        <$of as $crate::protocol::FieldType>::count(),
                    )),*],
                )
            }
        }
    };
}

impl Structure {
    #[doc(hidden)]
    #[must_use]
    pub fn of_rust(
        name: &str,
        size: usize,
        fields: Vec<(&str, usize, Element, Option<usize>)>,
    ) -> Self {
        let field = |(name, at, element, count)| super::Field {
            count,
            ..super::Field::new(name, at, element)
        };
        Self { name: name.to_owned(), size, fields: fields.into_iter().map(field).collect() }
    }
}
