//! From the calls of a log to the events of a tape.

use super::ImportReport;
use super::error::{ImportError, Wrong};
use super::handles::Handles;
use super::log::{Log, LoggedCall, Next, Parameters, at};
use dextape::IoReturn;
use dextape::call::Scalars;
use dextape::limits::SCALARS_MAX;
use dextape::registry::{Matching, NoticeKind, Value};
use dextape::schedule::TimeMode;
use dextape::tape::{
    Body, Call, Capture, Event, Header, Host, MappedMemory, OtherCall, OutputKind, Payload, Return,
    Sequence, ServiceIdentity, Structure, TapeFile,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Page size of the 32-bit Macs that were logged, in bytes.
const PAGE_SIZE: u64 = 4096;

/// Most ports, iterators and services that are kept track of.
const HANDLES_MAX: usize = 1 << 20;

/// Stands for a property: the log has an address of it in the client, and the value nowhere.
const NOT_LOGGED: &str = "(not in the log)";

/// What every tape of such a log lacks, as its header says it under `lacks`.
const LACKS: [&str; 8] = [
    "the Mac: model, system, drivers and their versions, when it was logged",
    "times and threads: one lane, all at time 0",
    "what clients read and wrote in mapped memory (capture uncaptured), and where it was mapped",
    "property values: (not in the log) stands for each",
    "how the client found some services: a search by name, as the interposer would, stands in for it",
    "registry paths, parents and conformance, which are no events; services have names where the log has",
    "asynchronous calls, completions, output over 4096 bytes, and failures: such logs hold none",
    "64-bit pointers: the clients had 32 bits",
];

/// Functions without an event: what the library does by itself, and objects and paths that others
/// make use of.
const WITHOUT_EVENT: [&str; 12] = [
    "IOMasterPort",
    "IOServiceMatching",
    "IOServiceNameMatching",
    "IOBSDNameMatching",
    "IONotificationPortCreate",
    "IONotificationPortDestroy",
    "IONotificationPortGetRunLoopSource",
    "IOObjectConformsTo",
    "IORegistryEntryGetPath",
    "IORegistryEntryGetName",
    "IOObjectGetClass",
    "IOIteratorReset",
];

/// Makes a tape of a log that the interposer of IMF wrote: a line for a call's inputs (`IN`) and one for
/// its outputs (`OUT`). The log is read twice, since services are found after they are looked for; of
/// it one call at a time is in memory, and the numbers of live ports. What such a log does not hold, the
/// tape's header says under `lacks`.
///
/// # Errors
///
/// [`ImportError`] with line and column where the log is none, and where a file cannot be read or
/// written.
pub fn import_imf(log: &Path, tape: &Path) -> Result<ImportReport, ImportError> {
    let mut first = Importer::new(Vec::new(), None);
    first.read(log)?;
    let mut header = header(log);
    header.services = std::mem::take(&mut first.names)
        .into_iter()
        .map(|(number, name)| (number, ServiceIdentity { name: Some(name), ..Default::default() }))
        .collect();
    let file = TapeFile::create(tape, &header)?;
    let mut second = Importer::new(first.found, Some(file));
    second.read(log)?;
    let mut report = second.report;
    report.lacks = LACKS.map(str::to_owned).to_vec();
    if let Some(file) = second.tape {
        report.events = file.events();
        file.finish()?;
    }
    Ok(report)
}

fn header(log: &Path) -> Header {
    let name = log.file_name().map(|name| name.to_string_lossy().into_owned());
    let unknown = || "unknown".to_owned();
    Header {
        recorder: concat!("IMF interposer, imported by dextape ", env!("CARGO_PKG_VERSION"))
            .to_owned(),
        host: Host::Mac { model: unknown(), system: unknown() },
        page_size: PAGE_SIZE,
        time: TimeMode::Free,
        provenance: vec![format!("imported from the IMF log {}", name.unwrap_or_default())],
        // There are no dexts with 32 bits.
        extra: BTreeMap::from([
            ("lacks".to_owned(), LACKS.as_slice().into()),
            (Header::DRIVER.to_owned(), Header::KERNEL_EXTENSION.into()),
        ]),
        ..Header::mock()
    }
}

/// What an iterator goes over.
#[derive(Clone, Copy, Debug)]
enum Iterator {
    /// The services of a search: its number.
    Services(usize),
    /// Notices of this queue.
    Notices(u32, NoticeKind),
}

/// One reading of a log.
struct Importer {
    tape: Option<TapeFile>,
    report: ImportReport,
    sequence: Sequence,
    services: Handles,
    names: BTreeMap<u32, String>,
    /// Services that an event has given to the client.
    on_tape: BTreeSet<u32>,
    connections: Handles,
    iterators: BTreeMap<u64, Iterator>,
    queues: u32,
    /// Memories by connection and type.
    memories: BTreeMap<(u32, u32), u32>,
    /// The services that each search found: of an earlier reading, or of this one.
    found: Vec<Vec<u32>>,
    finding: Vec<Vec<u32>>,
    /// How many services are in there.
    count: usize,
}

impl Importer {
    fn new(found: Vec<Vec<u32>>, tape: Option<TapeFile>) -> Self {
        Self {
            tape,
            report: ImportReport::default(),
            sequence: 0,
            services: Handles::default(),
            names: BTreeMap::new(),
            on_tape: BTreeSet::new(),
            connections: Handles::default(),
            iterators: BTreeMap::new(),
            queues: 0,
            memories: BTreeMap::new(),
            found,
            finding: Vec::new(),
            count: 0,
        }
    }

    fn read(&mut self, path: &Path) -> Result<(), ImportError> {
        let file =
            File::open(path).map_err(|error| ImportError::Read { path: path.to_owned(), error })?;
        let mut log = Log::new(BufReader::with_capacity(1 << 16, file));
        loop {
            match log.next(path)? {
                Next::Call(call) => self.call(&call)?,
                Next::Cut(function) => {
                    self.report.cut_off = Some(function);
                    break;
                }
                Next::End => break,
            }
        }
        if self.report.calls == 0 {
            let problem = "expected the inputs of a call (IN); is this a log of IMF's interposer?";
            return Err(at(1, Wrong::new(0, problem)));
        }
        if self.tape.is_none() {
            self.found = std::mem::take(&mut self.finding);
        }
        Ok(())
    }

    fn emit(
        &mut self,
        connection: Option<u32>,
        cause: Option<Sequence>,
        body: Body,
    ) -> Result<Sequence, ImportError> {
        self.sequence += 1;
        match &body {
            Body::Matched { outcome: Ok(services), .. } => self.on_tape.extend(services),
            Body::Notice { service, .. } => {
                self.on_tape.insert(*service);
            }
            _ => {}
        }
        if let Some(tape) = &mut self.tape {
            let event = Event::new(self.sequence, 1, self.sequence, body);
            tape.event(&Event { connection, cause, ..event })?;
        }
        Ok(self.sequence)
    }

    fn call(&mut self, call: &LoggedCall) -> Result<(), ImportError> {
        let LoggedCall { function, inputs, outputs, line } = call;
        self.report.calls += 1;
        match function.as_str() {
            "IOServiceGetMatchingService" => {
                let service = outputs.number("ret")?;
                let services = self.given(service).into_iter().collect();
                let matching = inputs.matching("matching")?;
                self.emit(None, None, Body::Matched { matching, outcome: Ok(services) })?;
            }
            "IOServiceGetMatchingServices" => self.search(inputs, outputs)?,
            "IOServiceAddMatchingNotification" => self.watch(inputs, outputs)?,
            "IOIteratorNext" => self.next(inputs, outputs)?,
            "IORegistryEntryGetParentEntry" => {
                if outputs.number("ret")? == 0 {
                    self.given(outputs.pointed("parent")?);
                }
                self.used(inputs.number("entry")?);
                self.without_event(function);
            }
            "IORegistryEntryCreateCFProperty" | "IORegistryEntrySearchCFProperty" => {
                let service = self.name(inputs, "entry")?;
                let key = Some(inputs.text("key")?);
                let is_there = outputs.number("ret")? != 0;
                let outcome = Ok(is_there.then(|| Value::from(NOT_LOGGED)));
                self.emit(None, None, Body::Property { service, key, outcome })?;
            }
            "IORegistryEntryCreateCFProperties" => {
                let service = self.name(inputs, "entry")?;
                let unknown = BTreeMap::from([(NOT_LOGGED.to_owned(), Value::from(true))]);
                let outcome = result(outputs)?.map(|()| Some(Value::Dictionary(unknown)));
                self.emit(None, None, Body::Property { service, key: None, outcome })?;
            }
            "IOServiceOpen" => self.open(inputs, outputs)?,
            "IOServiceClose" => {
                let name = inputs.number("connect")?;
                let connection = Some(self.connection(inputs, "connect")?);
                let enter = self.emit(connection, None, Body::Close)?;
                let result = IoReturn(outputs.number32("ret")?);
                self.emit(connection, Some(enter), Body::Closed { result })?;
                self.connections.dropped(name);
            }
            "IOConnectCallMethod" | "IOConnectCallScalarMethod" | "IOConnectCallStructMethod" => {
                self.method(inputs, outputs)?
            }
            "IOConnectMapMemory" | "IOConnectMapMemory64" => self.map(inputs, outputs)?,
            "IOConnectUnmapMemory" | "IOConnectUnmapMemory64" => {
                let connection = self.connection(inputs, "connect")?;
                let memory_type = inputs.number32("memoryType")?;
                let memory = self.memories.get(&(connection, memory_type)).copied();
                let enter =
                    self.emit(Some(connection), None, Body::Unmap { memory_type, memory })?;
                let result = IoReturn(outputs.number32("ret")?);
                self.emit(Some(connection), Some(enter), Body::Unmapped { result })?;
            }
            "IOConnectAddClient" => {
                let connection = Some(self.connection(inputs, "connect")?);
                let client = self.connections.known(inputs.number("client")?);
                let body = Body::OtherCall(OtherCall::AddClient { client });
                let enter = self.emit(connection, None, body)?;
                let outcome = result(outputs)?.map(|()| None);
                self.emit(connection, Some(enter), Body::OtherReturn { outcome })?;
            }
            "IOObjectRetain" => {
                self.used(inputs.number("object")?);
                self.given(inputs.number("object")?);
                self.without_event(function);
            }
            "IOObjectRelease" => {
                let name = inputs.number("object")?;
                if self.iterators.remove(&name).is_none() {
                    self.services.dropped(name);
                }
                self.without_event(function);
            }
            _ if WITHOUT_EVENT.contains(&function.as_str()) => self.without_event(function),
            _ => {
                let problem = format!(
                    "expected a function that a tape can hold, found {function}; take its two lines \
                     out of the log if the client can do without"
                );
                return Err(at(*line, Wrong::new(4, problem)));
            }
        }
        if self.count.max(self.iterators.len()).max(self.names.len()) > HANDLES_MAX {
            let problem = format!("expected at most {HANDLES_MAX} ports; split the log");
            return Err(at(*line, Wrong::new(0, problem)));
        }
        Ok(())
    }

    fn without_event(&mut self, function: &str) {
        *self.report.without_event.entry(function.to_owned()).or_default() += 1;
    }

    /// The number of a service that the client was given; `None` for the null port.
    fn given(&mut self, name: u64) -> Option<u32> {
        self.count += usize::from(name != 0);
        (name != 0).then(|| self.services.given(name))
    }

    fn used(&mut self, name: u64) -> u32 {
        self.count += usize::from(self.services.known(name).is_none());
        self.services.used(name)
    }

    /// The number of a service that the client uses. Where nothing on the tape gives it to the client,
    /// as with a parent, the interposer's own way to find it stands in for what the client did.
    fn name(&mut self, inputs: &Parameters, parameter: &str) -> Result<u32, ImportError> {
        let number = self.used(inputs.number(parameter)?);
        let Some(name) = inputs.called(parameter) else { return Ok(number) };
        if self.on_tape.insert(number) {
            self.report.stand_ins += 1;
            let matching = Matching::service(&name);
            self.emit(None, None, Body::Matched { matching, outcome: Ok(vec![number]) })?;
        }
        self.names.entry(number).or_insert(name);
        Ok(number)
    }

    fn connection(&self, inputs: &Parameters, name: &str) -> Result<u32, ImportError> {
        let port = inputs.number(name)?;
        self.connections.known(port).ok_or_else(|| {
            let problem = format!(
                "expected a connection that was opened before, found {port:#x}; log the client from \
                 its start"
            );
            at(inputs.line, Wrong::new(inputs.end, problem))
        })
    }

    fn search(&mut self, inputs: &Parameters, outputs: &Parameters) -> Result<(), ImportError> {
        let matching = inputs.matching("matching")?;
        let number = self.finding.len();
        self.finding.push(Vec::new());
        self.count += 1;
        let found = self.found.get(number).cloned().unwrap_or_default();
        let result = result(outputs)?;
        if result.is_ok() {
            self.iterators.insert(outputs.pointed("existing")?, Iterator::Services(number));
        }
        let outcome = result.map(|()| found);
        self.emit(None, None, Body::Matched { matching, outcome })?;
        Ok(())
    }

    fn watch(&mut self, inputs: &Parameters, outputs: &Parameters) -> Result<(), ImportError> {
        let kind = match inputs.text("notificationType")?.as_str() {
            "IOServiceTerminate" => NoticeKind::Terminated,
            _ => NoticeKind::Arrived,
        };
        self.queues += 1;
        let queue = self.queues;
        let result = IoReturn(outputs.number32("ret")?);
        if result.is_success() {
            let iterator = outputs.pointed("notification")?;
            self.iterators.insert(iterator, Iterator::Notices(queue, kind));
        }
        let matching = inputs.matching("matching")?;
        self.emit(None, None, Body::Watch { queue, matching, result })?;
        Ok(())
    }

    fn next(&mut self, inputs: &Parameters, outputs: &Parameters) -> Result<(), ImportError> {
        let service = self.given(outputs.number("ret")?);
        let iterator = self.iterators.get(&inputs.number("iterator")?).copied();
        match (iterator, service) {
            (Some(Iterator::Notices(queue, kind)), Some(service)) => {
                self.emit(None, None, Body::Notice { queue, kind, service })?;
                return Ok(());
            }
            (Some(Iterator::Services(search)), Some(service)) => {
                if let Some(found) = self.finding.get_mut(search) {
                    found.push(service);
                }
            }
            _ => {}
        }
        self.without_event("IOIteratorNext");
        Ok(())
    }

    fn open(&mut self, inputs: &Parameters, outputs: &Parameters) -> Result<(), ImportError> {
        let service = self.name(inputs, "service")?;
        let open_type = inputs.number32("type")?;
        let enter = self.emit(None, None, Body::Open { service, open_type })?;
        match result(outputs)? {
            Ok(()) => {
                let connection = self.connections.given(outputs.pointed("connect")?);
                self.emit(Some(connection), Some(enter), Body::Opened)?;
            }
            Err(result) => {
                self.emit(None, Some(enter), Body::OpenFailed { result })?;
            }
        }
        Ok(())
    }

    fn method(&mut self, inputs: &Parameters, outputs: &Parameters) -> Result<(), ImportError> {
        let connection = Some(self.connection(inputs, "connection")?);
        let selector = inputs.number32("selector")?;
        let (mut scalars, mut scalar_count) = (Vec::new(), 0);
        if inputs.has("inputCnt") {
            scalar_count = inputs.number32("inputCnt")?;
            let data = inputs.data("input")?;
            // NULL with a count is the client's affair.
            let expected = if inputs.number("input")? == 0 { 0 } else { u64::from(scalar_count) };
            scalars = inputs.as_many("input", data, expected)?;
            scalars.truncate(SCALARS_MAX);
        }
        let mut input = Structure::None;
        if inputs.has("inputStructCnt") {
            let size = inputs.number("inputStructCnt")?;
            let is_null = inputs.number("inputStruct")? == 0;
            if !is_null {
                let bytes = inputs.as_many("inputStruct", inputs.bytes("inputStruct")?, size)?;
                input = Structure::Bytes(Payload::bytes(&bytes));
            } else if size > 0 {
                input = Structure::Null { size };
            }
        }
        let (mut scalars_asked, mut output) = (0, OutputKind::None);
        if inputs.has("outputCnt") {
            let asked = inputs.counted("outputCnt")?;
            scalars_asked = u32::try_from(asked).map_err(|_| {
                at(inputs.line, Wrong::new(inputs.end, "expected outputCnt to have 32 bits"))
            })?;
        }
        if inputs.has("outputStructCnt") && inputs.number("outputStructCnt")? != 0 {
            let size = inputs.counted("outputStructCnt")?;
            let is_null = outputs.number("outputStruct")? == 0;
            output = if is_null { OutputKind::Null { size } } else { OutputKind::Bytes { size } };
        }
        let scalars = Scalars::clamped(&scalars);
        let call = Call { selector, scalars, scalar_count, input, scalars_asked, output };
        let enter = self.emit(connection, None, Body::Call(call))?;
        let result = IoReturn(outputs.number32("ret")?);
        let mut returned = Return {
            result,
            scalars: Scalars::clamped(&[]),
            structure_size: None,
            structure: None,
        };
        if result.is_success() {
            if scalars_asked > 0 {
                let count = outputs.counted("outputCnt")?;
                let data = outputs.as_many("output", outputs.data("output")?, count)?;
                returned.scalars = Scalars::clamped(&data);
            }
            returned.structure_size = Some(0);
            if let OutputKind::Bytes { .. } = output {
                let size = outputs.counted("outputStructCnt")?;
                let bytes =
                    outputs.as_many("outputStruct", outputs.bytes("outputStruct")?, size)?;
                returned.structure_size = Some(size);
                returned.structure = Some(Payload::bytes(&bytes));
            }
        }
        self.emit(connection, Some(enter), Body::Return(returned))?;
        Ok(())
    }

    fn map(&mut self, inputs: &Parameters, outputs: &Parameters) -> Result<(), ImportError> {
        let connection = self.connection(inputs, "connect")?;
        let memory_type = inputs.number32("memoryType")?;
        let options = inputs.number32("options")?;
        let body = Body::Map { memory_type, options, address: 0 };
        let enter = self.emit(Some(connection), None, body)?;
        let outcome = match result(outputs)? {
            Ok(()) => {
                let next = self.memories.len() as u32 + 1;
                let memory = *self.memories.entry((connection, memory_type)).or_insert(next);
                let length = outputs.pointed("ofSize")?;
                let size = length.checked_next_multiple_of(PAGE_SIZE).ok_or_else(|| {
                    let problem = format!("expected the size of a mapping, found {length:#x}");
                    at(outputs.line, Wrong::new(outputs.end, problem))
                })?;
                let capture = Capture::Uncaptured;
                Ok(MappedMemory { memory, length, size, capture, read_only: false })
            }
            Err(result) => Err(result),
        };
        self.emit(Some(connection), Some(enter), Body::Mapped { outcome })?;
        Ok(())
    }
}

/// What a function returned.
fn result(outputs: &Parameters) -> Result<Result<(), IoReturn>, ImportError> {
    Ok(IoReturn(outputs.number32("ret")?).ok())
}
