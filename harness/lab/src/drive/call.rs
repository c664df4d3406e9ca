//! External methods.

use super::DifferenceKind;
use super::lane::{Lane, shown};
use super::things::Held;
use dextape::connection::{
    AsyncWake, CompletionQueue, MethodInput, MethodOutput, StructureInput, StructureOutput,
};
use dextape::limits::INLINE_STRUCTURE_MAX;
use dextape::memory::SharedBuffer;
use dextape::tape::{Call, Comparison, Digest, Field, OutputKind, Payload, Return, Structure};
use std::fmt::{Display, Write as _};
use std::sync::Arc;

/// What a call gave here.
struct Found {
    result: Result<(), dextape::IoReturn>,
    scalars: Vec<u64>,
    size: u64,
    /// As a tape has them: of an in-line or variable output those returned, of an out-of-line output
    /// the whole buffer.
    bytes: Vec<u8>,
}

/// Largest buffer that is made for a call, in bytes.
const BUFFER_MAX: u64 = 1 << 30;

impl Lane {
    /// Makes a call and compares what it gives. `wake` is the queue and the reference of an asynchronous
    /// one.
    pub(super) fn call(
        &self,
        place: usize,
        call: &Call,
        wake: Option<(Option<u32>, Option<&[u64]>)>,
        recorded: &Return,
    ) {
        let Some(connection) = self.connection(place) else { return };
        let Some((mut scalars, mut bytes)) = self.inputs(place, call) else { return };
        self.translate(place, call.selector, &mut scalars, &mut bytes);
        let shared_input = match &call.input {
            Structure::Shared { memory, .. } => Some(self.buffer(*memory, bytes.len() as u64)),
            _ => None,
        };
        if let Some(buffer) = &shared_input {
            // The buffer was made as long as the bytes, or is longer.
            let _ = buffer.memory().copy_in(0, &bytes);
        }
        let structure = match (&call.input, &shared_input) {
            (Structure::None, _) => StructureInput::None,
            (Structure::Null { size }, _) => StructureInput::Null { size: *size },
            (Structure::Unmapped { size }, _) => StructureInput::Unmapped { size: *size },
            (_, Some(buffer)) => StructureInput::Shared(buffer),
            (_, None) => StructureInput::Bytes(&bytes),
        };
        let queue = wake.and_then(|(queue, _)| queue);
        let queue: Option<Arc<dyn CompletionQueue>> =
            queue.and_then(|queue| self.session.things().completions.get(&queue).cloned());
        let reference = wake.and_then(|(_, reference)| reference).map(<[u64]>::to_vec);
        let mut room = vec![0; call.scalars_asked.min(1 << 16) as usize];
        let mut own = Vec::new();
        let mut shared = None;
        let output = match call.output {
            OutputKind::None => StructureOutput::None,
            OutputKind::Null { size } => StructureOutput::Null { size },
            OutputKind::Unmapped { size } => StructureOutput::Unmapped { size },
            OutputKind::Variable => StructureOutput::Variable(&mut own),
            OutputKind::Bytes { size } | OutputKind::Shared { size, .. } if size > BUFFER_MAX => {
                let told = [&format!("{size} bytes") as &dyn Display, &"is not asked: too many"];
                return self.session.differs(
                    place,
                    DifferenceKind::NotMade,
                    "the output asked for",
                    told[0],
                    told[1],
                );
            }
            OutputKind::Bytes { size } if wake.is_some() && size > INLINE_STRUCTURE_MAX => {
                StructureOutput::Shared(shared.insert(Arc::new(SharedBuffer::new(size))))
            }
            OutputKind::Bytes { size } => {
                own = vec![0; size as usize];
                StructureOutput::Bytes(&mut own)
            }
            OutputKind::Shared { memory, size } => {
                StructureOutput::Shared(shared.insert(self.buffer(memory, size)))
            }
        };
        let input = MethodInput { scalars: &scalars, structure };
        let mut reply = MethodOutput::new(&mut room, output);
        let result = match wake {
            None => connection.call_method(call.selector, &input, &mut reply),
            Some(_) => {
                let wake = AsyncWake { queue: queue.as_deref(), reference: reference.as_deref() };
                connection.call_async_method(call.selector, &wake, &input, &mut reply)
            }
        };
        let size = reply.structure_size;
        let scalars =
            if result.is_success() { reply.returned_scalars().to_vec() } else { Vec::new() };
        if let Some(shared) = shared {
            own = shared.memory().read_vec(0, shared.length()).unwrap_or_default();
        }
        // Out of line a dext always tells the whole (C4); a kernel extension may tell less.
        if own.len() as u64 <= INLINE_STRUCTURE_MAX || result.is_success() {
            own.truncate(size as usize);
        }
        let found = Found { result: result.ok(), scalars, size, bytes: own };
        self.compare(place, call, recorded, &found);
    }

    /// Scalars and bytes that the client handed in; `None` where the tape does not hold them.
    fn inputs(&self, place: usize, call: &Call) -> Option<(Vec<u64>, Vec<u8>)> {
        let mut scalars = call.scalars.to_vec();
        // More than 16 are refused before anybody looks at them (A2).
        scalars.resize(call.scalar_count.min(1 << 16) as usize, 0);
        let bytes = match &call.input {
            Structure::None | Structure::Null { .. } | Structure::Unmapped { .. } => Vec::new(),
            Structure::Bytes(data) | Structure::Shared { data, .. } => {
                match self.session.tape.bytes(data) {
                    Ok(Some(bytes)) => bytes.into_owned(),
                    _ => {
                        let found = "cannot be asked with them";
                        let recorded = "no more than the length of its bytes";
                        let (kind, part) = (DifferenceKind::NotMade, "what is handed in");
                        self.session.differs(place, kind, part, &recorded, &found);
                        return None;
                    }
                }
            }
        };
        Some((scalars, bytes))
    }

    /// Puts what symbols stand for here in their places.
    fn translate(&self, place: usize, selector: u32, scalars: &mut [u64], bytes: &mut [u8]) {
        let things = self.session.things();
        for rule in self.session.rules(place, selector) {
            let Comparison::Symbol(name) = &rule.comparison else { continue };
            match rule.field {
                Field::ScalarInput(index) => {
                    if let Some(scalar) = scalars.get_mut(index) {
                        let mut value = scalar.to_le_bytes();
                        things.symbols.translate(name, &mut value);
                        *scalar = u64::from_le_bytes(value);
                    }
                }
                Field::StructureInput(offset, length) => {
                    if let Some(field) = range(offset, length, bytes.len()) {
                        things.symbols.translate(name, &mut bytes[field]);
                    }
                }
                _ => {}
            }
        }
    }

    /// The shared buffer of a number of the tape.
    fn buffer(&self, memory: u32, length: u64) -> Arc<SharedBuffer> {
        let mut things = self.session.things();
        if let Some(Held::Buffer(buffer)) = things.memories.get(&memory)
            && buffer.length() == length
        {
            return Arc::clone(buffer);
        }
        let buffer = Arc::new(SharedBuffer::new(length.min(BUFFER_MAX)));
        things.memories.insert(memory, Held::Buffer(Arc::clone(&buffer)));
        buffer
    }

    fn compare(&self, place: usize, call: &Call, recorded: &Return, found: &Found) {
        let session = &*self.session;
        if recorded.result.ok() != found.result {
            let told = (shown(recorded.result.ok()), shown(found.result));
            session.differs(place, DifferenceKind::Result, "the result", &told.0, &told.1);
            if recorded.result.is_success() != found.result.is_ok() {
                // The outputs of one of them are none.
                return;
            }
        }
        if recorded.scalars.len() != found.scalars.len() {
            let told = (recorded.scalars.len(), found.scalars.len());
            let part = "the number of scalars";
            session.differs(place, DifferenceKind::Scalar, part, &told.0, &told.1);
        }
        for (index, (recorded, found)) in recorded.scalars.iter().zip(&found.scalars).enumerate() {
            let mut rules = session.rules(place, call.selector);
            let rule = rules.find(|rule| rule.field == Field::ScalarOutput(index));
            let same = match rule.map(|rule| &rule.comparison) {
                Some(Comparison::Masked) => true,
                Some(Comparison::Symbol(name)) => {
                    let (recorded, found) = (recorded.to_le_bytes(), found.to_le_bytes());
                    session.things().symbols.agree(name, &recorded, &found)
                }
                None => recorded == found,
            };
            if !same {
                let part = format!("scalar {index}");
                let told = (format!("{recorded:#x}"), format!("{found:#x}"));
                session.differs(place, DifferenceKind::Scalar, &part, &told.0, &told.1);
            }
        }
        if let Some(size) = recorded.structure_size
            && found.result.is_ok()
            && size != found.size
        {
            let told = (format!("{size} bytes"), format!("{} bytes", found.size));
            let part = "the size of the structure";
            session.differs(place, DifferenceKind::Structure, part, &told.0, &told.1);
        }
        if let Some(structure) = &recorded.structure {
            self.structure(place, call.selector, structure, &found.bytes);
        }
    }

    fn structure(&self, place: usize, selector: u32, recorded: &Payload, found: &[u8]) {
        let session = &*self.session;
        let say = |part: &str, told: (String, String)| {
            session.differs(place, DifferenceKind::Structure, part, &told.0, &told.1);
        };
        let expected = match (recorded, session.tape.bytes(recorded)) {
            (Payload::Hash { digest, .. }, _) => {
                if Digest::of(found) != *digest {
                    let told = (format!("bytes with hash {digest}"), Digest::of(found).to_string());
                    say("the structure", told);
                }
                return;
            }
            (_, Ok(Some(bytes))) => bytes.into_owned(),
            _ => return,
        };
        let (mut one, mut other) = (expected.clone(), found.to_vec());
        for rule in session.rules(place, selector) {
            let Field::StructureOutput(offset, length) = rule.field else { continue };
            let length_of_both = one.len().min(other.len());
            let Some(field) = range(offset, length, length_of_both) else { continue };
            let same = match &rule.comparison {
                Comparison::Masked => true,
                Comparison::Symbol(name) => {
                    let (recorded, found) = (&one[field.clone()], &other[field.clone()]);
                    session.things().symbols.agree(name, recorded, found)
                }
            };
            if same {
                one[field.clone()].fill(0);
                other[field].fill(0);
            }
        }
        if one == other {
            return;
        }
        let at = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
        say(&format!("the structure from byte {at:#x} on"), (row(&expected, at), row(found, at)));
    }
}

/// A range of bytes, as far as there are any.
pub(super) fn range(offset: u64, length: u64, all: usize) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(offset).ok().filter(|start| *start < all)?;
    let end = usize::try_from(offset.saturating_add(length)).unwrap_or(usize::MAX).min(all);
    (start < end).then_some(start..end)
}

/// Some bytes from a place on.
pub(super) fn row(bytes: &[u8], at: usize) -> String {
    let rest = bytes.get(at..).unwrap_or_default();
    if rest.is_empty() {
        return "no byte more".to_owned();
    }
    let mut text = String::new();
    for byte in rest.iter().take(16) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    if rest.len() > 16 {
        text += "..";
    }
    text
}
