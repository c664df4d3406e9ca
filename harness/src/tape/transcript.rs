//! Events as people read them: one line an operation.
//!
//! Where the leave of an operation stands next to its enter the two are one line, `enter -> leave`;
//! else the enter ends in `..` and the leave names it. Lines begin with the sequence number, the time
//! if it is asked for, the lane (`L1`, and `P2:` before it for another process than the first) and the
//! connection (`c1`).

use super::describe::Description;
use super::event::{Body, Event, Sequence};
use super::fields::Kind;
use super::naming::{Names, Naming};
use super::payload::Payload;
use super::whole::Tape;
use super::writer::LoadBlob;
use crate::IoReturn;
use crate::protocol::Protocol;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Which events a transcript shows, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TranscriptOptions {
    /// Shows the time of each line, in seconds since the recording began.
    pub times: bool,
    /// Shows all bytes, as a dump below their line.
    pub hex: bool,
    /// Only events of this connection.
    pub connection: Option<u32>,
    /// Only events of this lane.
    pub lane: Option<u32>,
    /// Only calls of this selector, with what they bring about.
    pub selector: Option<u32>,
    /// Only events of these kinds; an operation is shown where either of its kinds is among them. All
    /// where it is empty.
    pub kinds: Vec<Kind>,
    /// Only operations and completions that failed, and gaps.
    pub errors_only: bool,
    /// Names of selectors, fields and memories.
    pub protocol: Option<Arc<Protocol>>,
}

/// Renders events one after the other, holding one line at most.
///
/// # Examples
///
/// ```
/// use dextape::tape::{Body, Event, Transcript, TranscriptOptions};
///
/// let mut transcript = Transcript::new(TranscriptOptions::default());
/// let mut text = String::new();
/// transcript.event(&Event::new(1, 1, 1, Body::Queue { queue: 1 }), &mut text);
/// transcript.finish(&mut text);
/// assert_eq!(text, "    1  L1     queue 1 made\n");
/// ```
#[derive(Debug, Default)]
pub struct Transcript {
    options: TranscriptOptions,
    /// The line of an enter that may still be joined by its leave.
    held: Description,
    holding: Option<Held>,
    next: Description,
    /// Calls of the selector asked for, and what they brought about.
    selected: BTreeSet<Sequence>,
    naming: Option<Naming>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    enter: Sequence,
    process: u32,
    lane: u32,
    wanted: bool,
}

impl Transcript {
    /// Begins a transcript.
    #[must_use]
    pub fn new(options: TranscriptOptions) -> Self {
        let naming = options.protocol.clone().map(Naming::new);
        Self { options, naming, ..Self::default() }
    }

    /// Appends what the event adds to the transcript. Blobs are named, not shown.
    pub fn event(&mut self, event: &Event, out: &mut String) {
        self.show(event, None, out);
    }

    /// The same; with [`TranscriptOptions::hex`] the bytes of blobs come from `load`. One that cannot
    /// be loaded is named.
    pub fn event_from(&mut self, event: &Event, load: LoadBlob<'_>, out: &mut String) {
        self.show(event, Some(load), out);
    }

    /// Appends the line that is still held.
    pub fn finish(&mut self, out: &mut String) {
        if let Some(held) = self.holding.take() {
            if held.wanted && !self.options.errors_only {
                self.held.text(" ..");
                self.held.end(out);
            }
            self.held.clear();
        }
    }

    fn show(&mut self, event: &Event, load: Option<LoadBlob<'_>>, out: &mut String) {
        let wanted = self.wants(event);
        // Taken out for the time of this event, since its names are lent from it.
        let mut naming = self.naming.take();
        let names = naming.as_mut().map_or(Names::default(), |naming| naming.follow(event));
        self.show_named(event, wanted, names, load, out);
        self.naming = naming;
    }

    fn show_named(
        &mut self,
        event: &Event,
        wanted: bool,
        names: Names<'_>,
        load: Option<LoadBlob<'_>>,
        out: &mut String,
    ) {
        if let Some(held) = self.holding
            && event.body.is_leave()
            && event.cause == Some(held.enter)
            && (event.process, event.lane) == (held.process, held.lane)
        {
            self.holding = None;
            let failed = !self.options.errors_only || is_failure(&event.body);
            if (held.wanted || wanted) && failed {
                self.held.text(" -> ");
                // An open has no connection before it has worked.
                self.held.connection_if_new(event);
                self.held.leave(&event.body, names);
                self.held.dump(event, self.options.hex, load);
                self.held.end(out);
            }
            self.held.clear();
            return;
        }
        self.finish(out);
        if event.body.is_enter() {
            self.holding = Some(Held {
                enter: event.sequence,
                process: event.process,
                lane: event.lane,
                wanted,
            });
            if wanted || self.may_join() {
                self.held.begin(event, self.options.times);
                self.held.body(event, names);
                self.held.dump(event, self.options.hex, load);
            }
            return;
        }
        if wanted && (!self.options.errors_only || is_failure(&event.body)) {
            self.next.clear();
            self.next.begin(event, self.options.times);
            self.next.body(event, names);
            self.next.dump(event, self.options.hex, load);
            self.next.end(out);
        }
    }

    /// True where the leave of an operation can be wanted though its enter is not: by its kind, or by
    /// the connection that an open brought.
    fn may_join(&self) -> bool {
        !self.options.kinds.is_empty() || self.options.connection.is_some()
    }

    /// True where the options ask for this event by its connection, lane, selector and kind. To be asked
    /// for every event in turn, because what a call brings about goes by the call.
    pub fn wants(&mut self, event: &Event) -> bool {
        let options = &self.options;
        if let Some(selector) = options.selector {
            let selected = match &event.body {
                Body::Call(call) | Body::AsyncCall { call, .. } => call.selector == selector,
                _ => event.cause.is_some_and(|cause| self.selected.contains(&cause)),
            };
            if !selected {
                return false;
            }
            self.selected.insert(event.sequence);
        }
        let options = &self.options;
        options.connection.is_none_or(|connection| event.connection == Some(connection))
            && options.lane.is_none_or(|lane| event.lane == lane)
            && (options.kinds.is_empty()
                || event.body.kind().is_some_and(|kind| options.kinds.contains(&kind)))
    }
}

/// True for an event that tells of a failure.
fn is_failure(body: &Body) -> bool {
    let failed = |result: &IoReturn| !result.is_success();
    match body {
        Body::Matched { outcome, .. } => outcome.is_err(),
        Body::Property { outcome, .. } => outcome.is_err(),
        Body::Mapped { outcome } => outcome.is_err(),
        Body::OtherReturn { outcome } => outcome.is_err(),
        Body::OpenFailed { .. } | Body::Gap { .. } => true,
        Body::Watch { result, .. }
        | Body::Return(super::Return { result, .. })
        | Body::Unmapped { result }
        | Body::Closed { result } => failed(result),
        Body::Posted { status, .. } => failed(status),
        _ => false,
    }
}

impl Tape {
    /// The tape's transcript. Blobs are shown where the options ask for all bytes.
    #[must_use]
    pub fn transcript(&self, options: TranscriptOptions) -> String {
        let mut transcript = Transcript::new(options);
        let mut out = String::new();
        for event in self.events() {
            transcript.event_from(event, &|digest| self.load(digest), &mut out);
        }
        transcript.finish(&mut out);
        out
    }
}

/// One event as a line of a transcript, without its line feed.
#[must_use]
pub fn render_event(event: &Event) -> String {
    let mut line = Description::default();
    line.begin(event, false);
    line.body(event, Names::default());
    let mut out = String::new();
    line.end(&mut out);
    out.truncate(out.trim_end_matches('\n').len());
    out
}

/// A payload as a transcript shows it within a line.
#[must_use]
pub fn render_payload(payload: &Payload) -> String {
    let mut line = Description::default();
    line.payload(payload);
    let mut out = String::new();
    line.end(&mut out);
    out.truncate(out.trim_end_matches('\n').len());
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn shown(options: TranscriptOptions) -> String {
        sample::every_kind().transcript(options)
    }

    /// The numbers that the lines begin with.
    fn numbers(options: TranscriptOptions) -> Vec<u64> {
        let lines = shown(options);
        lines.lines().map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn every_kind_has_its_words() {
        insta::assert_snapshot!("every_kind", shown(TranscriptOptions::default()));
    }

    #[test]
    fn bytes_are_dumped_below_their_line_and_blobs_are_loaded() {
        let text = sample::every_kind().to_text().unwrap();
        let options = TranscriptOptions {
            hex: true,
            times: true,
            selector: Some(3),
            ..TranscriptOptions::default()
        };
        let text = Tape::from_bytes(text.into_bytes()).unwrap().transcript(options);
        let (head, dump) = text.split_once('\n').unwrap();
        assert!(head.starts_with("   19  0.000018000  L1 c1  call 3() input 300 bytes"), "{head}");
        let lines: Vec<&str> = dump.lines().collect();
        assert_eq!(lines.len(), 300_usize.div_ceil(16) + 4104_usize.div_ceil(16));
        assert_eq!(lines.last().unwrap().trim(), "001000  a5 a5 a5 a5 a5 a5 a5 a5");
        let noise = sample::noise(1, 300);
        assert!(lines[0].trim().starts_with(&format!("000000  {:02x} {:02x}", noise[0], noise[1])));
    }

    #[test]
    fn filters_show_what_they_name() {
        let all = TranscriptOptions::default;
        assert_eq!(numbers(TranscriptOptions { lane: Some(0), ..all() }), [31, 36]);
        assert_eq!(
            numbers(TranscriptOptions { errors_only: true, ..all() }),
            [2, 5, 11, 17, 27, 36, 40, 43, 70, 72, 74, 76, 80, 82, 96]
        );
        // A call with all that it brought about: its return, completions and patch.
        assert_eq!(
            numbers(TranscriptOptions { selector: Some(8), ..all() }),
            [30, 31, 32, 34, 36, 37, 42]
        );
        assert_eq!(
            numbers(TranscriptOptions { kinds: vec![Kind::Mapped, Kind::Fork], ..all() }),
            [43, 45, 47, 92]
        );
        let of_connection = numbers(TranscriptOptions { connection: Some(1), ..all() });
        assert_eq!(of_connection[..2], [13, 15], "the open that made it is shown whole");
        assert!(!of_connection.contains(&29));
    }

    #[test]
    fn a_single_event_is_one_line() {
        let tape = sample::every_kind();
        assert_eq!(
            render_event(&tape.events()[17]),
            "   18  L1 c1  return of 17: kIOReturnBadArgument (0xe00002c2)"
        );
        assert_eq!(
            render_payload(&Payload::bytes(&[1; 17])),
            "01010101010101010101010101010101.. (17 bytes)"
        );
    }
}
