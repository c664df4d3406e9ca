//! What an append costs.

use crate::journal::{
    Call, Data, Journal, JournalError, JournalOptions, Record, Return, RingOptions, Stamp,
    Structure,
};
use dextape::IoReturn;
use dextape::tape::OutputKind;
use std::path::Path;
use std::time::{Duration, Instant};

/// Nanoseconds of one small call, enter and leave: two scalars and 24 bytes each way.
#[derive(Clone, Copy, Debug)]
pub struct AppendCost {
    /// On a warm segment: the fastest of several batches.
    pub warm: f64,
    /// The slowest batch, on a segment whose memory is ready and was not written to yet.
    pub cold: f64,
    /// Over many segments, the helper's work on another core included where there is one.
    pub sustained: f64,
    /// The same in a ring that is written around several times.
    pub ring: f64,
}

/// Appends the two records of a small call.
#[inline]
pub fn append_small_call(journal: &Journal, lane: u32, time: u64) -> bool {
    let input = [7; 24];
    let enter = Stamp { lane, connection: Some(1), cause: None, time };
    let call = Record::Call(Call {
        selector: 3,
        scalars: &[time, 2],
        scalar_count: 2,
        input: Structure::Bytes(Data::Bytes(&input)),
        scalars_asked: 2,
        output: OutputKind::Bytes { size: 24 },
    });
    let entered = journal.append(enter, &call);
    let leave = Stamp { cause: entered, time: time + 1, ..enter };
    let returned = Record::Return(Return {
        result: IoReturn::SUCCESS,
        scalars: &[1, 2],
        structure_size: Some(24),
        structure: Some(Data::Bytes(&input)),
    });
    entered.is_some() & journal.append(leave, &returned).is_some()
}

/// Measures appends to a new journal in `folder`.
///
/// # Errors
///
/// Where the journal cannot be made.
pub fn measure_append(folder: &Path) -> Result<AppendCost, JournalError> {
    const BATCH: u64 = 1_000;
    let path = folder.join("cost.journal");
    let options = JournalOptions {
        segment_size: 16 << 20,
        ahead: 1,
        wait: Duration::from_secs(20),
        ..JournalOptions::default()
    };
    let journal = Journal::create(&path, options)?;
    let batch = |journal: &Journal, calls: u64| {
        let start = Instant::now();
        let mut kept = true;
        for time in 0..calls {
            kept &= append_small_call(journal, 1, time);
        }
        let spent = start.elapsed().as_nanos() as f64 / calls as f64;
        if kept { spent } else { f64::INFINITY }
    };
    let mut batches = Vec::new();
    while journal.room_in_segment() > BATCH * 400 {
        batches.push(batch(&journal, BATCH));
    }
    drop(journal);
    let _ = std::fs::remove_file(&path);
    let options = JournalOptions { wait: Duration::from_secs(20), ..JournalOptions::default() };
    let sustained = |options| -> Result<f64, JournalError> {
        let journal = Journal::create(&path, options)?;
        let spent = batch(&journal, 500_000);
        drop(journal);
        let _ = std::fs::remove_file(&path);
        Ok(spent)
    };
    let ring = sustained(options.clone().ring(RingOptions::default()))?;
    let sustained = sustained(options)?;
    Ok(AppendCost {
        warm: batches.iter().copied().fold(f64::INFINITY, f64::min),
        cold: batches.first().copied().unwrap_or(f64::INFINITY),
        sustained,
        ring,
    })
}
