//! What recording adds to a call: measured over a system whose calls do next to nothing.

use crate::journal::{JournalError, JournalOptions, Status};
use crate::recording::{RecordOptions, RecordingSession};
use dextape::IoReturn;
use dextape::call::{ConnectionId, MapOptions, MemoryId, ServiceId};
use dextape::connection::{
    AsyncWake, CompletionQueue, Connection, Mapping, Matching, MethodInput, MethodOutput,
    NoticeQueue, OtherCall, OtherReply, StructureInput, StructureOutput, System, Value,
};
use dextape::memory::Backing;
use dextape::schedule::Schedule;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A system whose calls copy the structure handed in to the one asked for, and do nothing else.
#[derive(Debug)]
pub struct TrivialSystem(pub Schedule);

impl System for TrivialSystem {
    fn matching_services(&self, _matching: &Matching) -> Result<Vec<ServiceId>, IoReturn> {
        Ok(vec![ServiceId(1)])
    }

    fn property(&self, _service: ServiceId, _key: &str) -> Result<Option<Value>, IoReturn> {
        Ok(None)
    }

    fn properties(&self, _service: ServiceId) -> Result<BTreeMap<String, Value>, IoReturn> {
        Ok(BTreeMap::new())
    }

    fn open(&self, _service: ServiceId, _open_type: u32) -> Result<Box<dyn Connection>, IoReturn> {
        Ok(Box::new(TrivialConnection))
    }

    fn watch(&self, _matching: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn> {
        Err(IoReturn::UNSUPPORTED)
    }

    fn completion_queue(&self) -> Arc<dyn CompletionQueue> {
        dextape::kernel::MockSystem::new(&self.0).completion_queue()
    }

    fn schedule(&self) -> &Schedule {
        &self.0
    }
}

#[derive(Debug)]
struct TrivialConnection;

impl Connection for TrivialConnection {
    fn id(&self) -> ConnectionId {
        ConnectionId(1)
    }

    fn call_method(
        &self,
        _selector: u32,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        if let (StructureInput::Bytes(from), StructureOutput::Bytes(to)) =
            (&input.structure, &mut output.structure)
        {
            to.copy_from_slice(from);
        }
        IoReturn::SUCCESS
    }

    fn call_async_method(
        &self,
        selector: u32,
        _wake: &AsyncWake<'_>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        self.call_method(selector, input, output)
    }

    fn map_memory(
        &self,
        memory_type: u32,
        _options: MapOptions,
        _address: u64,
    ) -> Result<Mapping, IoReturn> {
        Ok(Mapping::new(MemoryId(1), memory_type, 0, 64, Backing::new(64)))
    }

    fn unmap_memory(&self, _memory_type: u32, _address: u64) -> IoReturn {
        IoReturn::SUCCESS
    }

    fn close(&self) -> IoReturn {
        IoReturn::SUCCESS
    }

    fn other_call(&self, _call: &OtherCall<'_>) -> OtherReply {
        Ok(None)
    }
}

/// Nanoseconds of a call with three scalars and 24 bytes each way, through `dyn Connection`.
#[derive(Clone, Copy, Debug)]
pub struct RecordedCost {
    /// Of the call itself.
    pub inner: f64,
    /// Of the recorded call on a warm segment: the fastest of several batches.
    pub warm: f64,
    /// Of the recorded call on a segment whose memory is ready and was not written to yet.
    pub cold: f64,
    /// Of a read of 8 bytes of recorded memory that have not changed, which is no event.
    pub read: f64,
}

/// Calls `connection` once, with `size` bytes each way.
///
/// # Panics
///
/// Where `size` is more than 4096, or the call fails.
#[inline]
pub fn make_small_call(connection: &dyn Connection, size: usize) {
    let (input, mut output) = ([7; 4096], [0; 4096]);
    let mut scalars = [0; 2];
    let input =
        MethodInput { scalars: &[1, 2, 3], structure: StructureInput::Bytes(&input[..size]) };
    let structure = StructureOutput::Bytes(&mut output[..size]);
    let result = connection.call_method(5, &input, &mut MethodOutput::new(&mut scalars, structure));
    assert_eq!(result, IoReturn::SUCCESS);
}

/// As [`make_small_call`], with 24 bytes and nothing else to do.
fn measured_call(connection: &dyn Connection) {
    let mut room = [0; 24];
    let mut scalars = [0; 2];
    let input = MethodInput { scalars: &[1, 2, 3], structure: StructureInput::Bytes(&[7; 24]) };
    let mut output = MethodOutput::new(&mut scalars, StructureOutput::Bytes(&mut room));
    let _ = black_box(connection.call_method(5, black_box(&input), &mut output));
    black_box(room);
}

/// Measures calls, recorded into a new journal in `folder` and not recorded.
///
/// # Errors
///
/// Where the journal cannot be made or does not hold them.
pub fn measure_recorded_call(folder: &Path) -> Result<RecordedCost, JournalError> {
    const BATCH: u32 = 1_000;
    let schedule = Schedule::free();
    let per_call = |body: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..BATCH).for_each(|_| body());
        start.elapsed().as_nanos() as f64 / f64::from(BATCH)
    };
    let fastest =
        |body: &mut dyn FnMut()| (0..40).map(|_| per_call(body)).fold(f64::INFINITY, f64::min);
    let bare: &dyn Connection = &TrivialConnection;
    let inner = fastest(&mut || measured_call(black_box(bare)));

    let path = folder.join("recorded-cost.journal");
    let journal = JournalOptions {
        segment_size: 32 << 20,
        ahead: 1,
        wait: Duration::from_secs(20),
        ..JournalOptions::default()
    };
    let options = RecordOptions { journal, ..RecordOptions::default() };
    let session = RecordingSession::start(&path, options)?;
    let system = session.wrap(Arc::new(TrivialSystem(schedule)));
    let recorded: Box<dyn Connection> =
        system.open(ServiceId(1), 0).unwrap_or_else(|_| Box::new(TrivialConnection));
    let recorded = black_box(&*recorded);
    let cold = per_call(&mut || measured_call(recorded));
    let warm = fastest(&mut || measured_call(recorded));
    let mut read = f64::INFINITY;
    if let Ok(mapping) = recorded.map_memory(0, MapOptions::ANYWHERE, 0) {
        read = fastest(&mut || {
            let _ = black_box(mapping.load::<u64>(8));
        });
    }
    if let Status::Stopped { reason } = session.status() {
        let source = std::io::Error::other(reason);
        return Err(JournalError::Io { action: "measure", path, source });
    }
    drop(system);
    let _ = std::fs::remove_file(&path);
    Ok(RecordedCost { inner, warm, cold, read })
}
