//! The battery's client: calls of any shape, and everything that comes back.

use super::contract::{Argument, Asynchrony, Contract, MethodContract};
use crate::IoReturn;
use crate::call::{Completion, MapOptions};
use crate::connection::{
    AsyncWake, CompletionQueue, Connection, Mapping, MethodInput, MethodOutput, StructureInput,
    StructureOutput, System,
};
use crate::kernel::MockSystem;
use crate::limits::INLINE_STRUCTURE_MAX;
use crate::memory::SharedBuffer;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

/// The reference of calls with a completion; the first word is the library's own.
pub(super) const REFERENCE: [u64; 3] = [0, 0x11, 0x22];

/// What outputs hold before a call.
pub(super) const POISON: u8 = 0xa5;

/// How a call is made as far as its completion goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Synchronously.
    Sync,
    /// Asynchronously, with a wake port.
    Port,
    /// Asynchronously, without a wake port (D6).
    NoPort,
}

/// A structure handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// These bytes; none where they are empty.
    Bytes(Vec<u8>),
    /// NULL with a size (A10).
    Null(u64),
}

/// A structure asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Room for so many bytes; none for 0.
    Bytes(u64),
    /// NULL with a size (A12).
    Null(u64),
    /// Variable output (A14).
    Variable,
}

/// A call to be made, of any shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The selector.
    pub selector: u32,
    /// Scalars handed in.
    pub scalars: Vec<u64>,
    /// The structure handed in.
    pub input: Input,
    /// Scalars asked for.
    pub scalars_asked: usize,
    /// The structure asked for.
    pub output: Output,
    /// As what it is made.
    pub wake: Wake,
}

impl Attempt {
    /// The legal call of a method.
    pub(super) fn legal(method: &MethodContract) -> Self {
        Self {
            selector: method.selector,
            scalars: method.scalars.iter().map(Argument::example).collect(),
            input: Input::Bytes(method.input.clone()),
            scalars_asked: method.scalars_asked as usize,
            output: Output::Bytes(method.bytes_asked),
            wake: match method.asynchrony {
                Asynchrony::Always => Wake::Port,
                Asynchrony::Never | Asynchrony::Either => Wake::Sync,
            },
        }
    }

    /// Makes the call, with `queue` for its completions where it takes any.
    #[must_use]
    pub fn make(&self, connection: &dyn Connection, queue: &dyn CompletionQueue) -> Answer {
        let wake = AsyncWake {
            queue: (self.wake == Wake::Port).then_some(queue),
            reference: Some(&REFERENCE),
        };
        let structure = match &self.input {
            Input::Bytes(bytes) if bytes.is_empty() => StructureInput::None,
            Input::Bytes(bytes) => StructureInput::Bytes(bytes),
            Input::Null(size) => StructureInput::Null { size: *size },
        };
        let mut bytes = Vec::new();
        let mut shared = None;
        let outlives = self.wake != Wake::Sync;
        let output = match self.output {
            Output::Bytes(0) => StructureOutput::None,
            Output::Bytes(size) if size > INLINE_STRUCTURE_MAX && outlives => {
                let poison = vec![POISON; size as usize];
                StructureOutput::Shared(shared.insert(SharedBuffer::from_bytes(&poison)))
            }
            Output::Bytes(size) => {
                bytes = vec![POISON; size as usize];
                StructureOutput::Bytes(&mut bytes)
            }
            Output::Null(size) => StructureOutput::Null { size },
            Output::Variable => StructureOutput::Variable(&mut bytes),
        };
        let mut scalars = vec![u64::from_ne_bytes([POISON; 8]); self.scalars_asked];
        let input = MethodInput { scalars: &self.scalars, structure };
        let mut reply = MethodOutput::new(&mut scalars, output);
        let selector = self.selector;
        let result = match self.wake {
            Wake::Sync => connection.call_method(selector, &input, &mut reply),
            _ => connection.call_async_method(selector, &wake, &input, &mut reply),
        };
        let size = if result.is_success() { reply.structure_size } else { 0 };
        let returned =
            if result.is_success() { reply.returned_scalars().to_vec() } else { Vec::new() };
        if let Some(shared) = shared {
            bytes = shared.memory().read_vec(0, shared.length()).unwrap_or_default();
        }
        Answer { selector, result, scalars: returned, size, bytes }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.scalars.is_empty() {
            parts.push(format!("{} scalars in", self.scalars.len()));
        }
        match &self.input {
            Input::Bytes(bytes) if bytes.is_empty() => {}
            Input::Bytes(bytes) => parts.push(format!("{} bytes in", bytes.len())),
            Input::Null(size) => parts.push(format!("NULL as {size} bytes in")),
        }
        if self.scalars_asked > 0 {
            parts.push(format!("{} scalars out", self.scalars_asked));
        }
        match self.output {
            Output::Bytes(0) => {}
            Output::Bytes(size) => parts.push(format!("{size} bytes out")),
            Output::Null(size) => parts.push(format!("NULL for {size} bytes out")),
            Output::Variable => parts.push("variable output".to_owned()),
        }
        match self.wake {
            Wake::Sync => {}
            Wake::Port => parts.push("asynchronous".to_owned()),
            Wake::NoPort => parts.push("asynchronous without a wake port".to_owned()),
        }
        write!(f, "selector {} is called with ", self.selector)?;
        if parts.is_empty() { f.write_str("nothing") } else { f.write_str(&parts.join(", ")) }
    }
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The selector that was called.
    pub selector: u32,
    /// The result.
    pub result: IoReturn,
    /// Scalars that came back.
    pub scalars: Vec<u64>,
    /// Bytes that came back.
    pub size: u64,
    /// The buffer after the call; as it was (`0xa5`) where the call left it alone.
    pub bytes: Vec<u8>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.result.is_success() {
            return self.result.fmt(f);
        }
        f.write_str("success")?;
        if !self.scalars.is_empty() {
            write!(f, ", scalars {:x?}", self.scalars)?;
        }
        if self.size > 0 {
            let mut bytes = String::new();
            for byte in self.bytes.iter().take(16) {
                // Writing to a string cannot fail.
                let _ = write!(bytes, "{byte:02x}");
            }
            let more = if self.bytes.len() > 16 { ".." } else { "" };
            write!(f, ", {} bytes {bytes}{more}", self.size)?;
        }
        Ok(())
    }
}

/// Where a trial takes place.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) contract: Arc<Contract>,
    pub(super) mock: Arc<MockSystem>,
    /// What is being done, for the report of a hang.
    pub(super) doing: Arc<Mutex<String>>,
}

impl Stage {
    pub(super) fn doing(&self, what: impl fmt::Display) {
        *self.doing.lock().unwrap_or_else(PoisonError::into_inner) = what.to_string();
    }

    pub(super) fn system(&self) -> &dyn System {
        &*self.mock
    }

    pub(super) fn open(&self) -> Result<Client, IoReturn> {
        self.doing("the service is opened");
        let service = self.system().first_service(&self.contract.matching)?;
        let connection = self.system().open(service, self.contract.open_type)?;
        let queue = self.system().completion_queue();
        Ok(Client { stage: self.clone(), connection, queue })
    }
}

/// One connection.
pub(super) struct Client {
    pub(super) stage: Stage,
    pub(super) connection: Box<dyn Connection>,
    pub(super) queue: Arc<dyn CompletionQueue>,
}

impl Client {
    pub(super) fn attempt(&self, attempt: &Attempt) -> Answer {
        self.stage.doing(attempt);
        attempt.make(&*self.connection, &*self.queue)
    }

    /// The next completion, within the contract's patience.
    #[cfg(feature = "proptest")]
    pub(super) fn completion(&self) -> Option<Completion> {
        self.stage.doing("a completion is waited for");
        self.queue.wait(Some(self.stage.contract.patience))
    }

    /// What has to come before a method, and then its legal call.
    pub(super) fn legal(&self, method: &MethodContract) -> Answer {
        let attempt = self.prepare(method);
        self.attempt(&attempt)
    }

    /// What has to come before a method; gives the call that is legal then.
    pub(super) fn prepare(&self, method: &MethodContract) -> Attempt {
        let mut returned: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for selector in &method.after {
            if let Some(before) = self.stage.contract.of_selector(*selector) {
                // Its own trials tell where it fails.
                let answer = self.attempt(&with_returned(before, &returned));
                returned.insert(*selector, answer.scalars);
            }
        }
        with_returned(method, &returned)
    }

    /// The legal calls of all methods, in the contract's order.
    pub(super) fn script(&self, altered: bool) -> Vec<Answer> {
        let contract = Arc::clone(&self.stage.contract);
        let legal = contract.methods.iter().map(|method| {
            let mut attempt = self.prepare(method);
            if altered {
                attempt.scalars.iter_mut().for_each(|scalar| *scalar ^= 1);
                if let Input::Bytes(bytes) = &mut attempt.input {
                    bytes.iter_mut().for_each(|byte| *byte ^= 1);
                }
            }
            self.attempt(&attempt)
        });
        legal.collect()
    }

    /// Completions until none has come for a while.
    pub(super) fn completions(&self) -> Vec<Completion> {
        self.stage.doing("completions are waited for");
        let quiet = self.stage.contract.patience / 2;
        // A dext that never stops completing must not keep the battery going for ever.
        std::iter::from_fn(|| self.queue.wait(Some(quiet))).take(1000).collect()
    }

    pub(super) fn map(&self, memory_type: u32) -> Result<Mapping, IoReturn> {
        self.stage.doing(format_args!("memory type {memory_type} is mapped"));
        self.connection.map_memory(memory_type, MapOptions::ANYWHERE, 0)
    }

    pub(super) fn unmap(&self, memory_type: u32) -> IoReturn {
        self.stage.doing(format_args!("memory type {memory_type} is unmapped"));
        self.connection.unmap_memory(memory_type, 0)
    }

    pub(super) fn close(&self) -> IoReturn {
        self.stage.doing("the connection is closed");
        self.connection.close()
    }
}

/// The legal call of a method, after others have returned that.
fn with_returned(method: &MethodContract, returned: &BTreeMap<u32, Vec<u64>>) -> Attempt {
    let mut attempt = Attempt::legal(method);
    for (scalar, argument) in attempt.scalars.iter_mut().zip(&method.scalars) {
        if let Argument::Returned { by, index } = argument {
            let value = returned.get(by).and_then(|scalars| scalars.get(*index));
            *scalar = value.copied().unwrap_or(0);
        }
    }
    attempt
}
