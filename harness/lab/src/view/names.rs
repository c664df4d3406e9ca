//! Where names come in: what a protocol calls its selectors, fields and memory types.

use dextape::IoReturn;

/// What a name is asked for: the scalars and bytes of one kind of exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// What is handed in to calls of a selector.
    Input {
        /// The selector.
        selector: u32,
    },
    /// What calls of a selector return.
    Output {
        /// The selector.
        selector: u32,
    },
    /// What completions of calls of a selector bring.
    Completion {
        /// The selector.
        selector: u32,
    },
    /// Memory of a type.
    Memory {
        /// The memory type.
        memory_type: u32,
    },
}

/// A field of some bytes, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedField {
    /// Its name; of nested structures joined by dots.
    pub name: String,
    /// First byte, counted from the first byte of the structure or memory.
    pub offset: u64,
    /// Bytes of it.
    pub length: u64,
    /// Its value, as people read it.
    pub value: String,
}

/// What a protocol calls things. Every answer may be left to the default, which is hex and numbers.
///
/// # Examples
///
/// ```
/// use dextape_lab::{Names, Part};
///
/// struct Smc;
/// impl Names for Smc {
///     fn selector(&self, selector: u32) -> Option<String> {
///         (selector == 5).then(|| "read key".to_owned())
///     }
/// }
/// assert_eq!(Smc.selector(5).as_deref(), Some("read key"));
/// assert_eq!(Smc.scalar(Part::Input { selector: 5 }, 0), None);
/// ```
pub trait Names {
    /// Name of a selector.
    fn selector(&self, selector: u32) -> Option<String> {
        let _ = selector;
        None
    }

    /// Name of a memory type.
    fn memory_type(&self, memory_type: u32) -> Option<String> {
        let _ = memory_type;
        None
    }

    /// Name of a scalar or of a completion's argument, by its index.
    fn scalar(&self, part: Part, index: usize) -> Option<String> {
        let _ = (part, index);
        None
    }

    /// What a scalar or argument says, where it is an enumeration or flags.
    fn scalar_value(&self, part: Part, index: usize, value: u64) -> Option<String> {
        let _ = (part, index, value);
        None
    }

    /// The fields within `bytes`, which stand from byte `offset` of the structure or memory on, by
    /// their offsets. Bytes that no field covers are shown in hex.
    fn structure(&self, part: Part, offset: u64, bytes: &[u8]) -> Vec<NamedField> {
        let _ = (part, offset, bytes);
        Vec::new()
    }

    /// Name of a result code of the protocol's own.
    fn result(&self, result: IoReturn) -> Option<String> {
        let _ = result;
        None
    }
}

/// No names: everything in hex and numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hex;

impl Names for Hex {}
