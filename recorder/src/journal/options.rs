//! How a journal is laid out, and how long an append may wait.

use super::RingOptions;
use std::time::Duration;

/// Options of a journal. The defaults suit a recording of a client that runs for real.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    /// Bytes of a segment, rounded up to whole pages of this machine; at least 4 KiB and at most
    /// 64 MiB.
    pub segment_size: u32,
    /// Segments that are kept ready ahead of the one in use; at least 1.
    pub ahead: u32,
    /// Bytes that the journal may take at most; recording stops there. Address space for all of
    /// them is set aside at once, or as much as the machine has.
    pub size_max: u64,
    /// How long an append waits at most for a segment that is not ready, before the record is dropped
    /// and counted. A recording of a simulated run waits as long as it takes, whatever stands here.
    pub wait: Duration,
    /// The journal is a ring, and stays within its bound; segments and size are the ring's then.
    pub ring: Option<RingOptions>,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_size: 1 << 20,
            ahead: 3,
            size_max: 64 << 30,
            wait: Duration::from_millis(100),
            ring: None,
        }
    }
}

impl JournalOptions {
    /// Makes the journal a ring: a flight recorder, which may stay on for weeks.
    ///
    /// The file never grows beyond the ring's size, and is as long from the start. It seals as any other
    /// journal, to a tape that begins with the beginnings of the connections; behind them stand a gap, a
    /// keyframe and the newest events. [`cut`](crate::seal::cut) makes such a tape while recording goes on.
    ///
    /// # Examples
    ///
    /// ```
    /// use dextape_recorder::journal::{JournalOptions, RingOptions};
    ///
    /// let ring: RingOptions = "8MiB,10min".parse()?;
    /// let options = JournalOptions::default().ring(ring.sticky(7));
    /// # assert_eq!(options.ring.unwrap().size, 8 << 20);
    /// # Ok::<(), dextape_recorder::journal::BadRing>(())
    /// ```
    #[must_use]
    pub fn ring(mut self, ring: RingOptions) -> Self {
        self.ring = Some(ring);
        self
    }
}
