//! The board: runs at its own pace, and interrupts.

use super::abi::{FRAME, INPUT_OFFSET, interrupt};
use dextape::driverkit::{InterruptLines, InterruptType};
use dextape::schedule::Schedule;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// After how long the output's first frame begins. No whole number of milliseconds, so that nobody who
/// looks every millisecond looks at the very moment.
const FIRST_FRAME: Duration = Duration::from_micros(20_500);

/// The board.
#[derive(Debug)]
pub(super) struct Board {
    schedule: Schedule,
    lines: InterruptLines,
    /// How often it was started or stopped.
    turns: AtomicU64,
}

impl Board {
    /// A board that stands still.
    pub(super) fn new(schedule: &Schedule) -> Arc<Self> {
        let lines = InterruptLines::new(&[InterruptType::PCI_MESSAGED; interrupt::COUNT]);
        Arc::new(Self { schedule: schedule.clone(), lines, turns: AtomicU64::new(0) })
    }

    /// Where it interrupts.
    pub(super) fn lines(&self) -> &InterruptLines {
        &self.lines
    }

    /// Has it run, or stand still.
    pub(super) fn control(self: &Arc<Self>, run: bool) {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed) + 1;
        if run {
            let (board, schedule) = (Arc::downgrade(self), self.schedule.clone());
            self.schedule.spawn_daemon("video board", move || {
                let start = schedule.now();
                for frame in 0.. {
                    let output = start + FIRST_FRAME + FRAME * frame;
                    let events =
                        [(output, interrupt::OUTPUT), (output + INPUT_OFFSET, interrupt::INPUT_1)];
                    for (time, line) in events {
                        schedule.sleep(time.saturating_sub(schedule.now()));
                        let Some(board) = board.upgrade() else { return };
                        if board.turns.load(Ordering::Relaxed) != turn {
                            return;
                        }
                        board.lines.raise(line as u32);
                    }
                }
            });
        }
    }
}
