//! Messages and the frames that they are cut into (CTAPHID).
//!
//! The first frame has the channel, the command with its top bit set, the length and 57 bytes; each
//! further one the channel, its number and 59 bytes. Numbers are big-endian.

use super::abi::{FRAME, Frame};

/// Bytes of a message in its first frame, and in each further one.
const FIRST: usize = FRAME - 7;
const FURTHER: usize = FRAME - 5;

/// The longest message: 128 further frames.
pub(super) const LENGTH_MAX: usize = FIRST + 128 * FURTHER;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) channel: u32,
    pub(super) command: u8,
    pub(super) payload: Vec<u8>,
}

impl Message {
    pub(super) fn new(channel: u32, command: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { channel, command, payload: payload.into() }
    }

    /// The frames of the message; what is beyond [`LENGTH_MAX`] is left out.
    pub(super) fn frames(&self) -> Vec<Frame> {
        let payload = &self.payload[..self.payload.len().min(LENGTH_MAX)];
        let (first, rest) = payload.split_at(payload.len().min(FIRST));
        let mut frame = [0; FRAME];
        frame[..4].copy_from_slice(&self.channel.to_be_bytes());
        frame[4] = self.command | 0x80;
        frame[5..7].copy_from_slice(&(payload.len() as u16).to_be_bytes());
        frame[7..][..first.len()].copy_from_slice(first);
        let mut frames = vec![frame];
        for (number, part) in rest.chunks(FURTHER).enumerate() {
            let mut frame = [0; FRAME];
            frame[..4].copy_from_slice(&self.channel.to_be_bytes());
            frame[4] = number as u8;
            frame[5..][..part.len()].copy_from_slice(part);
            frames.push(frame);
        }
        frames
    }
}

/// Puts messages together from frames, one at a time.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    begun: Option<(Message, usize, u8)>,
}

impl Assembler {
    /// Takes a frame, and gives the message that it ends. A first frame ends what was begun before it;
    /// a further one that does not follow is left out.
    pub(super) fn push(&mut self, frame: &Frame) -> Option<Message> {
        let [c0, c1, c2, c3, kind, rest @ ..] = frame;
        let channel = u32::from_be_bytes([*c0, *c1, *c2, *c3]);
        if kind & 0x80 != 0 {
            let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            let message = Message::new(channel, kind & 0x7f, &rest[2..][..length.min(FIRST)]);
            self.begun = Some((message, length.min(LENGTH_MAX), 0));
        } else {
            let (message, length, next) = self.begun.as_mut()?;
            if message.channel != channel || *next != *kind {
                return None;
            }
            let missing = *length - message.payload.len();
            message.payload.extend_from_slice(&rest[..missing.min(FURTHER)]);
            *next += 1;
        }
        let complete =
            |(message, length, _): &(Message, usize, u8)| message.payload.len() == *length;
        self.begun.take_if(|begun| complete(begun)).map(|(message, ..)| message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Message {
        Message::new(7, 1, (0..length).map(|index| index as u8).collect::<Vec<_>>())
    }

    #[test]
    fn messages_of_every_length_come_out_as_they_went_in() {
        for (length, count) in
            [(0, 1), (57, 1), (58, 2), (116, 2), (117, 3), (LENGTH_MAX, 129), (200, 4)]
        {
            let frames = message(length).frames();
            assert_eq!(frames.len(), count, "{length}");
            let mut assembler = Assembler::default();
            let (last, others) = frames.split_last().unwrap();
            assert!(others.iter().all(|frame| assembler.push(frame).is_none()), "{length}");
            assert_eq!(assembler.push(last), Some(message(length)));
        }
    }

    #[test]
    fn frames_that_do_not_follow_are_left_out() {
        let frames = message(200).frames();
        let mut assembler = Assembler::default();
        assert_eq!(assembler.push(&frames[1]), None, "of nothing");
        assert_eq!(assembler.push(&frames[0]), None);
        assert_eq!(assembler.push(&frames[2]), None, "out of turn");
        let mut other = frames[1];
        other[3] = 8;
        assert_eq!(assembler.push(&other), None, "of another channel");
        assert_eq!(frames[1..].iter().find_map(|frame| assembler.push(frame)), Some(message(200)));
        // A length that no message has is cut off, and a frame has no more than it holds.
        let mut long = frames[0];
        long[5..7].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(assembler.push(&long), None);
        assert_eq!(assembler.push(&message(3).frames()[0]), Some(message(3)));
    }
}
