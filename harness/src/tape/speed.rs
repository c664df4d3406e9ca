//! How fast tapes are written, read and shown: what the benchmarks and the figures in the notes call.

use super::error::TapeError;
use super::event::{Body, Call, Event, OutputKind, Return, Structure};
use super::header::Header;
use super::payload::Payload;
use super::reader::TapeReader;
use super::sample;
use super::transcript::Transcript;
use super::writer::TapeWriter;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that make an event of the measured tape some 490 bytes long.
const STRUCTURE: usize = 190;

/// Text that is shown before it is thrown away.
const SHOWN: usize = 1 << 20;

/// What was measured. Times are of the machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    /// Events of the tape.
    pub events: u64,
    /// Bytes of its text.
    pub bytes: u64,
    /// Writing it to memory.
    pub write: Duration,
    /// Reading it from memory, each event whole and the checksum compared.
    pub read: Duration,
    /// Rendering its events, which were read before.
    pub show: Duration,
    /// Reading and rendering, as `show` does.
    pub read_and_show: Duration,
}

impl Speed {
    /// Millions of bytes read in a second.
    #[must_use]
    pub fn read_rate(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.read.as_secs_f64()
    }

    /// Events read and shown in a second.
    #[must_use]
    pub fn show_rate(&self) -> f64 {
        self.events as f64 / self.read_and_show.as_secs_f64()
    }
}

/// Measures with a tape of about `events` events of 490 bytes in memory: the best of three runs.
///
/// # Errors
///
/// The tape cannot be written or read.
pub fn measure(events: u64) -> Result<Speed, TapeError> {
    let start = Instant::now();
    let text: Arc<[u8]> = text(events)?.into();
    let write = start.elapsed();
    let best = |work: &dyn Fn() -> Result<(), TapeError>| {
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let start = Instant::now();
            work()?;
            best = best.min(start.elapsed());
        }
        Ok::<_, TapeError>(best)
    };
    let read =
        best(&|| TapeReader::from_bytes(text.clone())?.try_for_each(|event| event.map(drop)))?;
    let held = TapeReader::from_bytes(text.clone())?.collect::<Result<Vec<_>, _>>()?;
    let show = best(&|| {
        let (mut transcript, mut out) = (Transcript::default(), String::new());
        held.iter().for_each(|event| render(&mut transcript, event, &mut out));
        Ok(())
    })?;
    let read_and_show = best(&|| {
        let (mut transcript, mut out) = (Transcript::default(), String::new());
        for event in TapeReader::from_bytes(text.clone())? {
            render(&mut transcript, &event?, &mut out);
        }
        Ok(())
    })?;
    let (events, bytes) = (held.len() as u64, text.len() as u64);
    Ok(Speed { events, bytes, write, read, show, read_and_show })
}

fn render(transcript: &mut Transcript, event: &Event, out: &mut String) {
    transcript.event(event, out);
    if out.len() > SHOWN {
        out.clear();
    }
}

fn text(events: u64) -> Result<Vec<u8>, TapeError> {
    let bytes = sample::noise(0, 256 + STRUCTURE);
    let mut writer = TapeWriter::new(Vec::new(), &Header::mock())?;
    for pair in 0..events / 2 {
        let structure = Payload::bytes(&bytes[pair as usize % 256..][..STRUCTURE]);
        let call = Call {
            input: Structure::Bytes(structure.clone()),
            output: OutputKind::Bytes { size: STRUCTURE as u64 },
            ..sample::call(pair as u32 % 8, &[pair])
        };
        let answer = Return {
            structure_size: Some(STRUCTURE as u64),
            structure: Some(structure),
            ..sample::success()
        };
        let enter = pair * 2 + 1;
        let bodies =
            [(enter, None, Body::Call(call)), (enter + 1, Some(enter), Body::Return(answer))];
        for (sequence, cause, body) in bodies {
            writer.event(&Event {
                connection: Some(1),
                cause,
                time: sequence * 1000,
                ..Event::new(sequence, 1, sequence, body)
            })?;
        }
    }
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_what_is_said() {
        let speed = measure(400).unwrap();
        assert_eq!(speed.events, 400);
        let mean = speed.bytes / speed.events;
        assert!((470..=510).contains(&mean), "{mean} bytes an event");
        assert!(speed.read_rate() > 0.0 && speed.show_rate() > 0.0);
    }
}
