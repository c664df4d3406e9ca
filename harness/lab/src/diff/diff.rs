//! Two tapes compared.

use super::align::align;
use super::compare::{Bindings, Comparing};
use super::field_change::FieldChange;
use super::item::{Item, Side};
use super::order::in_order;
use super::rules::Rules;
use super::volatile::{VolatileField, call_of, volatile};
use crate::view::{Names, printable};
use dextape::schedule::TimeMode;
use dextape::tape::{Body, Header, Sequence, Tape, TapeError};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// How two tapes are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiffOptions {
    /// Counts fields as changed that differ as counters, times, handles and random numbers do, and shows
    /// each change however often it comes.
    pub all: bool,
}

impl DiffOptions {
    /// Counts and shows everything.
    #[must_use]
    pub const fn all(mut self, all: bool) -> Self {
        self.all = all;
        self
    }
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Both tapes have it, and it says the same.
    Same,
    /// Both tapes have it, with other values.
    Changed,
    /// Both tapes have it, elsewhere; its values may differ, too.
    Moved,
    /// The first tape has it only.
    Removed,
    /// The second tape has it only.
    Inserted,
}

/// An item on one tape: an operation, or an event that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiffSide {
    /// Place of its event, or of its enter, among the tape's events.
    pub event: usize,
    /// Place of its leave.
    pub leave: Option<usize>,
}

/// One item of either tape or of both.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiffEntry {
    /// What became of it.
    pub change: Change,
    /// Where it is on the first tape.
    pub a: Option<DiffSide>,
    /// Where it is on the second tape.
    pub b: Option<DiffSide>,
    /// The fields that differ.
    pub fields: Vec<FieldChange>,
    /// True where it is changed in fields only that were told often enough before.
    pub repeats: bool,
}

/// How many items there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DiffCounts {
    /// Items that say the same.
    pub same: u64,
    /// Items with other values.
    pub changed: u64,
    /// Items elsewhere.
    pub moved: u64,
    /// Items of the first tape only.
    pub removed: u64,
    /// Items of the second tape only.
    pub inserted: u64,
}

/// What the comparison of two tapes gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diff {
    /// Every item, in the order of the second tape, and those of the first only where they were.
    pub entries: Vec<DiffEntry>,
    /// What differs in the headers. It says how the tapes were made and does not make them differ.
    pub header: Vec<FieldChange>,
    /// Fields that were folded away.
    pub volatile: Vec<VolatileField>,
    /// How many there are of each kind.
    pub counts: DiffCounts,
    /// How often a change of a field came, by selector or kind and place, where it was told a few times
    /// only.
    pub repeated: BTreeMap<String, u64>,
}

impl Diff {
    /// True where the traffic of both tapes is the same, but for what is volatile.
    #[must_use]
    pub fn is_same(&self) -> bool {
        let DiffCounts { changed, moved, removed, inserted, .. } = self.counts;
        changed + moved + removed + inserted == 0
    }
}

/// How often a change of the same field is told.
const TOLD: u64 = 3;

/// Compares two tapes. Takes memory in proportion to their length, and hardly more time, in the shapes that
/// `cargo xtask bench diff` measures.
///
/// # Errors
///
/// Bytes of a tape cannot be read.
///
/// # Examples
///
/// ```
/// use dextape::tape::{Body, sample};
/// use dextape_lab::{Change, DiffOptions, Hex, diff};
///
/// let one = sample::every_kind();
/// let mut other = sample::every_kind();
/// let call = other.events_mut().iter_mut().find_map(|event| match &mut event.body {
///     Body::Call(call) => Some(call),
///     _ => None,
/// });
/// call.unwrap().selector = 77;
/// let diff = diff(&one, &other, DiffOptions::default(), &Hex)?;
/// assert!(!diff.is_same());
/// assert_eq!((diff.counts.removed, diff.counts.inserted), (1, 1));
/// # Ok::<(), dextape::tape::TapeError>(())
/// ```
pub fn diff(
    a: &Tape,
    b: &Tape,
    options: DiffOptions,
    names: &dyn Names,
) -> Result<Diff, TapeError> {
    let rules = Rules::of([a.header(), b.header()]);
    let (a, b) = (Side::of(a, &rules)?, Side::of(b, &rules)?);
    let pairs = align(&a, &b);
    let mut comparing =
        Comparing { a: &a, b: &b, rules: &rules, names, bindings: Bindings::default() };
    let mut changes = Vec::with_capacity(pairs.len());
    let mut suspects: BTreeMap<u32, u64> = BTreeMap::new();
    for (one, other) in &pairs {
        let (one, other) = (&a.items[*one as usize], &b.items[*other as usize]);
        let mut fields = comparing.items(one, other)?;
        returned_first(&a, one, &b, other, &mut fields);
        if let (false, Some(call)) = (fields.is_empty(), call_of(&a.event(one.enter).body)) {
            *suspects.entry(call.selector).or_default() += 1;
        }
        changes.push(fields);
    }
    let mut diff = Diff { header: headers(a.tape.header(), b.tape.header()), ..Diff::default() };
    if !options.all {
        let found = volatile(&a, &b, &pairs, &suspects)?;
        let folded: HashSet<(u32, &str)> =
            found.iter().map(|field| (field.selector, field.field.as_str())).collect();
        if !folded.is_empty() {
            for ((one, _), fields) in pairs.iter().zip(&mut changes) {
                let item = &a.items[*one as usize];
                let Some(call) = call_of(&a.event(item.enter).body) else { continue };
                fields.retain(|field| !is_folded(field, call.selector, &folded));
            }
        }
        diff.volatile = found;
    }
    let kept = kept_in_order(&a, &b, &pairs);
    diff.entries = entries(&a, &b, &pairs, changes, &kept);
    diff.count();
    if !options.all {
        diff.fold(&a);
    }
    Ok(diff)
}

/// True where all that the change shows is volatile.
fn is_folded(field: &FieldChange, selector: u32, folded: &HashSet<(u32, &str)>) -> bool {
    let Some(offset) = field.offset else {
        return folded.contains(&(selector, field.name.as_str()));
    };
    // A range is one or more words.
    let bytes = |told: &Option<String>| told.as_ref().map_or(0, |told| told.len().div_ceil(3));
    let length = bytes(&field.a).max(bytes(&field.b)) as u64;
    let cut = |told: &Option<String>| told.as_ref().is_some_and(|told| told.contains(".."));
    let start = offset - offset % 4;
    !(cut(&field.a) || cut(&field.b))
        && length > 0
        && (start..offset + length)
            .step_by(4)
            .all(|word| folded.contains(&(selector, format!("{} {word:#x}", field.name).as_str())))
}

/// Whether a completion came before its call returned is told as a field of it.
fn returned_first(
    a: &Side<'_>,
    one: &Item,
    b: &Side<'_>,
    other: &Item,
    fields: &mut Vec<FieldChange>,
) {
    let before = |side: &Side<'_>, item: &Item| {
        if !matches!(side.event(item.enter).body, Body::Posted { .. } | Body::Delivered { .. }) {
            return None;
        }
        let mut call = side.links.cause(item.enter as usize)?;
        if let Body::Posted { .. } = side.tape.events()[call].body {
            call = side.links.cause(call)?;
        }
        let first = side.links.leave(call).is_none_or(|leave| leave > item.enter as usize);
        Some(if first { "before the call returned" } else { "after the call returned" }.to_owned())
    };
    let (ours, theirs) = (before(a, one), before(b, other));
    if ours != theirs {
        fields.push(FieldChange::new("came", ours, theirs));
    }
}

/// For each pair, whether it stands in the same order on both tapes: across lanes where both are of
/// simulated time, within each client's lane else.
fn kept_in_order(a: &Side<'_>, b: &Side<'_>, pairs: &[(u32, u32)]) -> Vec<bool> {
    let simulated = |side: &Side<'_>| side.tape.header().time == TimeMode::Simulated;
    if simulated(a) && simulated(b) {
        let seconds: Vec<u32> = pairs.iter().map(|(_, other)| *other).collect();
        return in_order(&seconds);
    }
    let mut kept = vec![true; pairs.len()];
    let mut lanes: HashMap<_, Vec<usize>> = HashMap::new();
    for (index, (one, _)) in pairs.iter().enumerate() {
        let lane = a.items[*one as usize].lane;
        if lane.1 != 0 {
            lanes.entry(lane).or_default().push(index);
        }
    }
    for of_lane in lanes.values() {
        let seconds: Vec<u32> = of_lane.iter().map(|index| pairs[*index].1).collect();
        for (index, in_order) in of_lane.iter().zip(in_order(&seconds)) {
            kept[*index] = in_order;
        }
    }
    kept
}

fn entries(
    a: &Side<'_>,
    b: &Side<'_>,
    pairs: &[(u32, u32)],
    changes: Vec<Vec<FieldChange>>,
    kept: &[bool],
) -> Vec<DiffEntry> {
    let place = |item: &Item| DiffSide {
        event: item.enter as usize,
        leave: item.leave.map(|leave| leave as usize),
    };
    let of_a = |index: u32| place(&a.items[index as usize]);
    let of_b = |index: u32| place(&b.items[index as usize]);
    let mut paired = vec![false; a.items.len()];
    // For each item of the second tape, which pair it is of.
    let mut pair_of = vec![None; b.items.len()];
    let mut changes: Vec<_> = changes.into_iter().map(Some).collect();
    for (index, (one, other)) in pairs.iter().enumerate() {
        paired[*one as usize] = true;
        pair_of[*other as usize] = Some(index);
    }
    // What went is told before what came: up to which item of the first tape stands before each.
    let mut up_to = vec![a.items.len() as u32; b.items.len() + 1];
    for other in (0..b.items.len()).rev() {
        let kept = pair_of[other].filter(|pair| kept[*pair]).map(|pair| pairs[pair].0);
        up_to[other] = kept.unwrap_or(up_to[other + 1]);
    }
    let mut entries = Vec::with_capacity(b.items.len());
    let mut next = 0_u32;
    let removed_up_to = |entries: &mut Vec<DiffEntry>, next: &mut u32, end: u32| {
        for index in *next..end {
            if !paired[index as usize] {
                entries.push(DiffEntry {
                    change: Change::Removed,
                    a: Some(of_a(index)),
                    b: None,
                    fields: Vec::new(),
                    repeats: false,
                });
            }
        }
        *next = end.max(*next);
    };
    for other in 0..b.items.len() as u32 {
        let pair = pair_of[other as usize];
        removed_up_to(&mut entries, &mut next, up_to[other as usize]);
        let (change, one, fields) = match pair {
            None => (Change::Inserted, None, Vec::new()),
            Some(pair) => {
                let one = pairs[pair].0;
                let fields = changes[pair].take().unwrap_or_default();
                let change = match (kept[pair], fields.is_empty()) {
                    (false, _) => Change::Moved,
                    (true, true) => Change::Same,
                    (true, false) => Change::Changed,
                };
                (change, Some(of_a(one)), fields)
            }
        };
        entries.push(DiffEntry { change, a: one, b: Some(of_b(other)), fields, repeats: false });
    }
    removed_up_to(&mut entries, &mut next, a.items.len() as u32);
    entries
}

impl Diff {
    fn count(&mut self) {
        for entry in &self.entries {
            let count = match entry.change {
                Change::Same => &mut self.counts.same,
                Change::Changed => &mut self.counts.changed,
                Change::Moved => &mut self.counts.moved,
                Change::Removed => &mut self.counts.removed,
                Change::Inserted => &mut self.counts.inserted,
            };
            *count += 1;
        }
    }

    /// Marks what repeats changes that were told often enough.
    fn fold(&mut self, a: &Side<'_>) {
        let mut told: HashMap<String, u64> = HashMap::new();
        for entry in self.entries.iter_mut().filter(|entry| entry.change == Change::Changed) {
            let Some(place) = entry.a else { continue };
            let body = &a.tape.events()[place.event].body;
            let of = match call_of(body) {
                Some(call) => format!("selector {}", call.selector),
                None => body.name().to_owned(),
            };
            let keys: Vec<_> =
                entry.fields.iter().map(|field| format!("{of}: {}", field.place())).collect();
            entry.repeats = keys.iter().all(|key| told.get(key).is_some_and(|told| *told >= TOLD));
            for key in keys {
                if entry.repeats {
                    *self.repeated.entry(key).or_default() += 1;
                } else {
                    *told.entry(key).or_default() += 1;
                }
            }
        }
    }
}

/// What differs in the headers.
fn headers(a: &Header, b: &Header) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    let mut compare = |name: &str, a: String, b: String| {
        if a != b {
            let told = |text: String| (!text.is_empty()).then(|| printable(&text));
            changes.push(FieldChange::new(name, told(a), told(b)));
        }
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    compare("recorder", a.recorder.clone(), b.recorder.clone());
    compare("host", format!("{:?}", a.host), format!("{:?}", b.host));
    compare("page size", format!("{:#x}", a.page_size), format!("{:#x}", b.page_size));
    compare("time", format!("{:?}", a.time), format!("{:?}", b.time));
    let seed = |seed: Option<u64>| seed.map(|seed| format!("{seed:#x}")).unwrap_or_default();
    compare("seed", seed(a.seed), seed(b.seed));
    let scenario = |header: &Header| {
        header.scenario.as_ref().map_or_else(String::new, |scenario| {
            let parameters: Vec<_> = scenario
                .parameters
                .iter()
                .map(|(key, value)| format!(" {key:?}={value:?}"))
                .collect();
            format!("{:?}{}", scenario.name, parameters.concat())
        })
    };
    compare("scenario", scenario(a), scenario(b));
    compare("services", format!("{:?}", a.services), format!("{:?}", b.services));
    compare("policy", text(&a.policy), text(&b.policy));
    compare("rules", a.rules.len().to_string(), b.rules.len().to_string());
    compare("redactions", format!("{:?}", a.redactions), format!("{:?}", b.redactions));
    compare("provenance", format!("{:?}", a.provenance), format!("{:?}", b.provenance));
    changes
}

/// Sequence number of the event at a place.
pub(super) fn sequence(tape: &Tape, place: usize) -> Sequence {
    tape.events().get(place).map_or(0, |event| event.sequence)
}
