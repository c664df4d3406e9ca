//! Bytes as a reader could put them together: each cell alone, and what follows upon each other in one
//! place of a tape.

use super::cells::{At, Part};
use dextape::redaction::VALUE_MIN;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Cells of the same place are joined whole up to this length; of longer ones both ends.
const WHOLE_MAX: usize = 4096;

/// The ends that are joined of longer ones: as many bytes as the longest form of a value.
const ENDS: usize = 8 * dextape::redaction::VALUE_MAX;

/// Zero bytes between two ranges of a memory that are read as a part of what stands around them: memory
/// is zero at first, so what was never anything else is in no patch.
const HOLE_MAX: u64 = 16;

/// The cell of such bytes.
const NO_CELL: usize = usize::MAX;

/// Structures up to this length are read column by column, for values that come in pieces.
const COLUMNS_MAX: usize = 512;

/// The pieces that a value may come in.
const WIDTHS: [usize; 5] = [1, 2, 4, 8, 16];

/// The words whose bytes are turned.
const WORDS: [usize; 3] = [2, 4, 8];

/// Bytes of columns that are looked at in all.
const COLUMN_BYTES_MAX: usize = 1 << 30;

/// A byte: its cell, and which of that.
pub(super) type Origin = (usize, usize);

/// Bytes that were found somewhere.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) at: At,
    pub(super) bytes: Vec<u8>,
}

/// A piece of a stream: where it comes from.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// First byte in the stream.
    begin: usize,
    cell: usize,
    /// First byte in the cell; the last one, where the piece is reversed.
    from: usize,
    reversed: bool,
}

/// How bytes were put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reading {
    /// As they stand in one structure, in the scalars of one event, or side by side in one memory.
    Alone,
    /// Several of these, one behind the other.
    Joined,
    /// Numbers one behind the other, each of one width and in one order of its bytes.
    Numbers,
    /// Parts of them, or in another order.
    #[default]
    Other,
}

/// Bytes put together.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    pub(super) reading: Reading,
    pub(super) bytes: Vec<u8>,
    pieces: Vec<Piece>,
    /// The bytes are turned in words of so many, of which the first begins at this byte.
    pub(super) turned: Option<(usize, usize)>,
    /// Cells whose piece was left out, because it only repeats that of the cell before: that cell, and the
    /// one that was left out.
    echoes: Vec<(usize, usize)>,
}

impl Stream {
    fn of(reading: Reading) -> Self {
        Self { reading, ..Self::default() }
    }

    /// Bytes that stand in one piece.
    pub(super) fn alone(bytes: &[u8]) -> Self {
        let mut stream = Self::of(Reading::Alone);
        stream.push(0, 0, bytes, false);
        stream
    }

    /// True for bytes as they stand on the tape.
    pub(super) fn is_in_order(&self) -> bool {
        self.rank() == 0
    }

    /// How far this is from what stands on the tape: of two ways to read something the nearer one is taken.
    pub(super) const fn rank(&self) -> u8 {
        match self.reading {
            Reading::Alone | Reading::Joined => 0,
            Reading::Numbers => 1,
            Reading::Other if self.turned.is_none() => 2,
            Reading::Other => 3,
        }
    }

    fn push(&mut self, cell: usize, from: usize, bytes: &[u8], reversed: bool) {
        let from = if reversed { from + bytes.len() - 1 } else { from };
        self.pieces.push(Piece { begin: self.bytes.len(), cell, from, reversed });
        if reversed {
            self.bytes.extend(bytes.iter().rev());
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Zero bytes that stand in no cell.
    fn push_hole(&mut self, length: u64) {
        self.pieces.push(Piece {
            begin: self.bytes.len(),
            cell: NO_CELL,
            from: 0,
            reversed: false,
        });
        self.bytes.extend((0..length).map(|_| 0));
    }

    /// The first and the last byte of a range that stand in cells.
    pub(super) fn ends(&self, range: Range<usize>) -> Option<(Origin, Origin)> {
        let mut origins = range.filter_map(|index| self.origin(index));
        let first = origins.next()?;
        Some((first, origins.next_back().unwrap_or(first)))
    }

    /// Cell and byte that the byte at `index` comes from; `None` where it stands in no cell.
    pub(super) fn origin(&self, index: usize) -> Option<Origin> {
        let index = match self.turned {
            Some((word, first)) if index >= first => {
                let begin = index - (index - first) % word;
                let end = (begin + word).min(self.bytes.len());
                begin + (end - 1 - index)
            }
            _ => index,
        };
        let piece = self.pieces.partition_point(|piece| piece.begin <= index).saturating_sub(1);
        let Piece { begin, cell, from, reversed } = self.pieces[piece];
        let within = index - begin;
        (cell != NO_CELL).then_some((cell, if reversed { from - within } else { from + within }))
    }

    /// Calls `look` with the ways to read the same bytes with those of each word turned, where the words begin anywhere,
    /// and end where they are cut off: so a value is read by whoever takes a text for numbers of the other order. Only
    /// where `is_worth` says so of the bytes.
    pub(super) fn turn(&self, is_worth: &dyn Fn(&[u8]) -> bool, look: &mut dyn FnMut(&Self)) {
        if self.reading == Reading::Other || self.bytes.len() < VALUE_MIN {
            return;
        }
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for word in WORDS {
            for first in 0..word.min(self.bytes.len()) {
                bytes.clear();
                bytes.extend_from_slice(&self.bytes);
                bytes[first..].chunks_mut(word).for_each(<[u8]>::reverse);
                if is_worth(&bytes) {
                    let (bytes, pieces) = (bytes.clone(), self.pieces.clone());
                    let (turned, echoes) = (Some((word, first)), self.echoes.clone());
                    look(&Self { reading: Reading::Other, bytes, pieces, turned, echoes });
                }
            }
        }
    }

    /// Cells that hold the same at the same place as this one, and were left out for that.
    pub(super) fn echoes(&self, cell: usize) -> impl Iterator<Item = usize> {
        let begin = self.echoes.partition_point(|(of, _)| *of < cell);
        self.echoes[begin..].iter().take_while(move |(of, _)| *of == cell).map(|(_, echo)| *echo)
    }
}

/// Which cells are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// All of them.
    All,
    /// What the dext made, or nobody knows who.
    Given,
    /// What the client made.
    Made,
}

impl Look {
    pub(super) fn takes(self, part: &Part) -> bool {
        match self {
            Self::All => true,
            Self::Given => !part.is_client(),
            Self::Made => part.is_client(),
        }
    }
}

/// Calls `look` with every stream that the cells give. The cells of one stream keep their order, and are
/// made by one side.
pub(super) fn streams(cells: &[Cell], which: Look, look: &mut dyn FnMut(&Stream)) {
    let mut places: BTreeMap<(Option<u32>, &Part), Vec<usize>> = BTreeMap::new();
    for (index, cell) in cells.iter().enumerate() {
        if !which.takes(&cell.at.part) {
            continue;
        }
        let alone = if cell.at.part.is_scalar() { Reading::Other } else { Reading::Alone };
        let mut stream = Stream::of(alone);
        stream.push(index, 0, &cell.bytes, false);
        look(&stream);
        if !matches!(cell.at.part, Part::Header | Part::Words | Part::Matching(_)) {
            places.entry((cell.at.connection, &cell.at.part)).or_default().push(index);
        }
    }
    scalars_of_events(cells, which, look);
    let mut budget = COLUMN_BYTES_MAX;
    for ((_, part), indices) in &places {
        of_place(cells, part, indices, &mut budget, look);
        // Threads that hand something over in pieces at the same time do so each in its own lane.
        let lanes: BTreeSet<u32> = indices.iter().map(|index| cells[*index].at.lane).collect();
        for lane in lanes.iter().filter(|_| lanes.len() > 1) {
            let of_lane = |index: &usize| cells[*index].at.lane == *lane;
            let indices: Vec<usize> = indices.iter().copied().filter(of_lane).collect();
            of_place(cells, part, &indices, &mut budget, look);
        }
    }
}

/// The streams of one place.
fn of_place(
    cells: &[Cell],
    part: &Part,
    indices: &[usize],
    budget: &mut usize,
    look: &mut dyn FnMut(&Stream),
) {
    let is_memory = matches!(part, Part::Write(_) | Part::Patch(_));
    if indices.len() < 2 && !is_memory {
        return;
    }
    if is_memory {
        adjacent(cells, indices, look);
    }
    if part.is_scalar() {
        scalar_columns(cells, indices, look);
        return;
    }
    whole(cells, indices, look);
    if is_memory {
        by_offset(cells, indices, look);
    } else {
        columns(cells, indices, budget, look);
    }
}

/// The cells one behind the other.
fn whole(cells: &[Cell], indices: &[usize], look: &mut dyn FnMut(&Stream)) {
    let mut stream = Stream::of(Reading::Joined);
    for &index in indices {
        let bytes = &cells[index].bytes;
        if bytes.is_empty() {
            continue;
        }
        if bytes.len() <= WHOLE_MAX.max(2 * ENDS) {
            stream.push(index, 0, bytes, false);
        } else {
            stream.push(index, 0, &bytes[..ENDS], false);
            // What is between is looked at in the cell itself; a new stream begins behind it.
            look(&stream);
            stream = Stream::of(Reading::Joined);
            stream.push(index, bytes.len() - ENDS, &bytes[bytes.len() - ENDS..], false);
        }
    }
    look(&stream);
}

/// Low bytes of numbers, one behind the other, in either order of their bytes.
fn scalar_columns(cells: &[Cell], indices: &[usize], look: &mut dyn FnMut(&Stream)) {
    for width in [1, 2, 4, 8] {
        for reversed in [false, true] {
            column(cells, indices, (0, width, reversed), Reading::Numbers, look);
        }
    }
}

/// The scalars of each event, one behind the other, or the only one: a text in words.
fn scalars_of_events(cells: &[Cell], which: Look, look: &mut dyn FnMut(&Stream)) {
    let mut first = 0;
    while first < cells.len() {
        let together = |cell: &Cell| {
            let (at, begin) = (&cell.at, &cells[first].at);
            which.takes(&at.part)
                && at.part.is_scalar()
                && at.event == begin.event
                && at.part.is_beside(&begin.part)
        };
        let count = cells[first..].iter().take_while(|cell| together(cell)).count();
        if count > 0 {
            let indices: Vec<usize> = (first..first + count).collect();
            let mut stream = Stream::of(Reading::Alone);
            indices.iter().for_each(|index| stream.push(*index, 0, &cells[*index].bytes, false));
            look(&stream);
            scalar_columns(cells, &indices, look);
        }
        first += count.max(1);
    }
}

/// The same bytes of every structure, one behind the other.
fn columns(cells: &[Cell], indices: &[usize], budget: &mut usize, look: &mut dyn FnMut(&Stream)) {
    let longest = indices.iter().map(|index| cells[*index].bytes.len()).max().unwrap_or(0);
    if longest > COLUMNS_MAX {
        return;
    }
    for width in WIDTHS.into_iter().filter(|width| *width <= longest) {
        for from in 0..=longest - width {
            let cost = 3 * width * indices.len();
            if *budget < cost {
                return;
            }
            *budget -= cost;
            column(cells, indices, (from, width, false), Reading::Other, look);
            if width > 1 {
                column(cells, indices, (from, width, true), Reading::Other, look);
            }
        }
    }
}

/// One column, from a first byte on, of a width, and of bytes that are turned or not: as it is, and without what only
/// repeats the piece before, as a poll does.
fn column(
    cells: &[Cell],
    indices: &[usize],
    (from, width, reversed): (usize, usize, bool),
    reading: Reading,
    look: &mut dyn FnMut(&Stream),
) {
    let (mut all, mut changes) = (Stream::of(reading), Stream::of(reading));
    let mut before: Option<(usize, &[u8])> = None;
    for &index in indices {
        let Some(piece) = cells[index].bytes.get(from..from + width) else { continue };
        all.push(index, from, piece, reversed);
        match before {
            Some((first, same)) if same == piece => changes.echoes.push((first, index)),
            _ => {
                changes.push(index, from, piece, reversed);
                before = Some((index, piece));
            }
        }
    }
    look(&all);
    if changes.pieces.len() != all.pieces.len() {
        look(&changes);
    }
}

/// Ranges of a memory that were seen one after the other and stand side by side, or with a few zero bytes
/// between them that nobody ever changed.
fn adjacent(cells: &[Cell], indices: &[usize], look: &mut dyn FnMut(&Stream)) {
    // Sorted by place, the last of each: the memory as it was in the end.
    let mut last: BTreeMap<u64, usize> = BTreeMap::new();
    for &index in indices {
        last.insert(cells[index].at.offset, index);
    }
    let in_order: Vec<usize> = last.into_values().collect();
    for order in [indices, in_order.as_slice()] {
        let mut stream = Stream::of(Reading::Alone);
        stream.push_hole(HOLE_MAX);
        let mut end = None;
        for &index in order {
            let cell = &cells[index];
            match end.map(|end| cell.at.offset.checked_sub(end)) {
                None | Some(Some(0)) => {}
                Some(Some(hole @ 1..=HOLE_MAX)) => stream.push_hole(hole),
                Some(_) => {
                    stream.push_hole(HOLE_MAX);
                    look(&stream);
                    stream = Stream::of(Reading::Alone);
                    stream.push_hole(HOLE_MAX);
                }
            }
            if !cell.bytes.is_empty() {
                stream.push(index, 0, &cell.bytes, false);
            }
            end = Some(cell.at.offset.saturating_add(cell.bytes.len() as u64));
        }
        stream.push_hole(HOLE_MAX);
        look(&stream);
    }
}

/// What one place of a memory held one after the other: a register that gives a value piece by piece.
fn by_offset(cells: &[Cell], indices: &[usize], look: &mut dyn FnMut(&Stream)) {
    let mut places: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for &index in indices {
        places.entry(cells[index].at.offset).or_default().push(index);
    }
    for indices in places.values().filter(|indices| indices.len() > 1) {
        // The last piece may be a narrower access.
        whole(cells, indices, look);
        for width in [1, 2, 4, 8] {
            for reversed in [false, true] {
                column(cells, indices, (0, width, reversed), Reading::Other, look);
            }
        }
    }
}
