//! The end of a transcript.

use dextape::tape::{Event, Transcript, TranscriptOptions};
use std::collections::VecDeque;
use std::fmt::Write as _;

/// The last lines of a transcript of a tape that may be long.
pub(crate) struct Last {
    transcript: Transcript,
    text: String,
    lines: VecDeque<String>,
    most: usize,
    count: u64,
}

impl Last {
    pub(crate) fn new(most: usize, options: TranscriptOptions) -> Self {
        let transcript = Transcript::new(options);
        Self { transcript, text: String::new(), lines: VecDeque::new(), most, count: 0 }
    }

    pub(crate) fn event(&mut self, event: &Event) {
        self.transcript.event(event, &mut self.text);
        self.take();
    }

    fn take(&mut self) {
        for line in self.text.lines() {
            if self.lines.len() == self.most {
                self.lines.pop_front();
            }
            let line: String = line.chars().take(120).collect();
            self.lines.push_back(line.replace(char::is_control, "?"));
            self.count += 1;
        }
        self.text.clear();
    }

    /// The lines so far, with the one that is still held.
    pub(crate) fn count(&mut self) -> u64 {
        self.transcript.finish(&mut self.text);
        self.take();
        self.count
    }

    pub(crate) fn finish(mut self, screen: &mut String) {
        self.count();
        for line in &self.lines {
            // Writing to a string cannot fail.
            let _ = writeln!(screen, "  {line}");
        }
    }
}
