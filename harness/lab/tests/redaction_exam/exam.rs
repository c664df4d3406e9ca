//! One tape examined, and what came of all.

use super::plant::Plant;
use super::search::{Search, of_the_format, search_tape};
use super::subject::Subject;
use dextape::redaction::Pseudonym;
use dextape::tape::{Tape, TapeReader, validate_reader};
use dextape_lab::{Bundle, Gate, PrivateValue, Report, find_private, pack_report, redact};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Cursor;

/// What went wrong with a plant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Miss {
    /// The gate passed the tape as it was.
    NotFound,
    /// It is still there after the redaction.
    Left,
    /// Some value is still there, and none of the places where it was planted holds it.
    LeftElsewhere,
    /// Its bytes are others, but three quarters of them and more are not.
    MostlyKept,
    /// The gate stopped the redacted tape, in which the examiner finds nothing.
    Stopped,
}

/// What came of all tapes.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    tapes: u64,
    plants: u64,
    bundles: u64,
    /// Tapes that the redactor would not give out.
    refused: Vec<String>,
    /// Tapes whose events or lengths are others than before.
    deformed: Vec<String>,
    /// Tapes with a name that the format itself writes.
    of_the_format: Vec<u64>,
    misses: BTreeMap<(Miss, String, String), Vec<u64>>,
    planted: BTreeMap<&'static str, u64>,
}

/// The key of the pseudonyms: any.
const KEY: Pseudonym = Pseudonym::new([0x5e; 32]);

/// What the validator finds.
fn wrong_with(tape: &Tape) -> String {
    let text = tape.write_to(Vec::new()).expect("the tape is written");
    let reader = TapeReader::from_bytes(text).expect("the header reads");
    let validation = validate_reader(reader).expect("the tape is read");
    let findings = validation.findings.iter().map(ToString::to_string);
    findings.collect::<Vec<_>>().join("; ")
}

impl Tally {
    pub(crate) fn examine(&mut self, number: u64) {
        let Subject { mut tape, secrets, plants, policy, known, short } = Subject::random(number);
        let before = Tape::new(tape.header().clone(), tape.events().to_vec());
        self.tapes += 1;
        self.plants += plants.len() as u64;
        for plant in &plants {
            *self.planted.entry(plant.place).or_default() += 1;
        }
        // The exam itself: its tape is whole, and it sees what it planted.
        assert_eq!(wrong_with(&before), "", "tape {number}");
        let search = Search::new(&secrets);
        let mut all = search_tape(&before, &search);
        for plant in &plants {
            let Some(bytes) = plant.now(&before).filter(|bytes| !bytes.is_empty()) else {
                continue;
            };
            assert_eq!(bytes, plant.bytes, "tape {number}: {plant:?}");
            search.look(&bytes, &mut all);
            assert!(all.contains(&plant.secret), "tape {number}: {plant:?} is not seen");
        }

        // The gate, before.
        let values: Vec<PrivateValue> = secrets
            .iter()
            .map(|secret| secret.value(&mut dextape::schedule::Generator::new(0)))
            .collect();
        let leaks = find_private(&mut tape, &values, 1_000_000).expect("the tape is searched");
        for plant in &plants {
            let at = |event: u64| {
                plant.pieces.iter().any(|piece| before.events()[piece.event].sequence == event)
            };
            let mut leaks = leaks.iter().filter(|leak| leak.value == plant.secret);
            // A place that cannot be read again is known only as one of the places of its value.
            if !leaks.any(|leak| plant.pieces.is_empty() || leak.event.is_some_and(at)) {
                self.miss(Miss::NotFound, plant, number);
            }
        }

        // The redaction.
        if let Err(error) = redact(&mut tape, &policy, &known, &KEY) {
            self.refused.push(format!("tape {number}: failed to {error}"));
            return;
        }
        let text = tape.write_to(Vec::new()).expect("the tape is written");
        let mut redacted = Tape::from_bytes(text).expect("the tape reads back");
        redacted.inline_blobs().expect("its blobs are there");
        self.compare(number, &before, &redacted);
        let left = search_tape(&redacted, &search);
        let mut told = Vec::new();
        for plant in plants.iter().chain(&short) {
            let now = plant.now(&redacted).unwrap_or_default();
            let mut still = Vec::new();
            search.look(&now, &mut still);
            let is_short = plant.place == "short value";
            let same = now.iter().zip(&plant.bytes).filter(|(now, then)| now == then).count();
            if (!is_short && still.contains(&plant.secret))
                || (!now.is_empty() && now == plant.bytes)
            {
                self.miss(Miss::Left, plant, number);
                told.push(plant.secret);
            } else if now.len() >= 12 && same * 4 > now.len() * 3 && !plant.is_mostly_fixed() {
                self.miss(Miss::MostlyKept, plant, number);
            }
        }
        let format = if left.is_empty() { vec![] } else { of_the_format(&redacted, &search) };
        for secret in left {
            if !told.contains(&secret) {
                // Nobody knows which: all of those whose place cannot be read again.
                let suspects =
                    plants.iter().filter(|plant| plant.secret == secret && plant.pieces.is_empty());
                let mut none = true;
                for plant in suspects {
                    self.miss(Miss::Left, plant, number);
                    none = false;
                }
                if none && format.contains(&secret) {
                    self.of_the_format.push(number);
                } else if none {
                    let key =
                        (Miss::LeftElsewhere, format!("{:?}", secrets[secret].kind), String::new());
                    self.misses.entry(key).or_default().push(number);
                }
                told.push(secret);
            }
        }
        if number.is_multiple_of(4) {
            self.pack(
                number,
                before,
                &search,
                &told,
                Gate { policy, private: known, replaces_private: true, pseudonym: KEY },
            );
        }
        let leaks = find_private(&mut redacted, &values, 1_000_000).expect("the tape is searched");
        for leak in leaks.iter().filter(|leak| !told.contains(&leak.value)) {
            let key = (Miss::Stopped, leak.to_string(), String::new());
            self.misses.entry(key).or_default().push(number);
        }
    }

    /// The tape in a bundle: nothing in any file of that, but for what the redaction left.
    fn pack(&mut self, number: u64, tape: Tape, search: &Search, left: &[usize], gate: Gate) {
        let report =
            Report { tapes: vec![("field.tape.jsonl".to_owned(), tape)], ..Report::default() };
        let packed = match pack_report(report, &gate) {
            Ok(packed) => packed,
            Err(error) => {
                self.refused.push(format!("bundle {number}: failed to {error}"));
                return;
            }
        };
        self.bundles += 1;
        let mut found = Vec::new();
        search.look(&packed.bytes, &mut found);
        let mut bundle = Bundle::read(Cursor::new(packed.bytes)).expect("the bundle reads");
        let mut text = Vec::new();
        bundle.unpack_tape(0, &mut text).expect("the tape is unpacked");
        search.look(&text, &mut found);
        search.look(bundle.note().as_bytes(), &mut found);
        search.look(bundle.log().as_bytes(), &mut found);
        let mut tape = Tape::from_bytes(text).expect("the tape of the bundle reads");
        tape.inline_blobs().expect("its blobs are there");
        found.extend(search_tape(&tape, search));
        if found.iter().any(|secret| !left.contains(secret)) {
            let key = (Miss::Left, "a bundle".to_owned(), String::new());
            self.misses.entry(key).or_default().push(number);
        }
    }

    fn miss(&mut self, miss: Miss, plant: &Plant, number: u64) {
        println!("tape {number}: {miss:?}: {}: {}", plant.place, plant.form);
        let key = (miss, plant.place.to_owned(), plant.form.to_owned());
        self.misses.entry(key).or_default().push(number);
    }

    /// The redacted tape has the shape of the other.
    fn compare(&mut self, number: u64, before: &Tape, after: &Tape) {
        let wrong = wrong_with(after);
        if !wrong.is_empty() {
            self.deformed.push(format!("tape {number}: {wrong}"));
        }
        if before.events().len() != after.events().len() {
            self.deformed.push(format!("tape {number}: another number of events"));
        }
        for (old, new) in before.events().iter().zip(after.events()) {
            let lengths = |event: &dextape::tape::Event| {
                let mut lengths = Vec::new();
                event.for_each_payload(|payload| lengths.push(payload.length()));
                lengths
            };
            if old.body.kind() != new.body.kind() || lengths(old) != lengths(new) {
                self.deformed
                    .push(format!("tape {number}: event {} has another form", old.sequence));
            }
        }
    }

    /// Nothing is missed.
    pub(crate) fn assert_clean(&self) {
        assert!(
            self.refused.is_empty() && self.deformed.is_empty() && self.misses.is_empty(),
            "{self}"
        );
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} tapes, {} plants, {} bundles", self.tapes, self.plants, self.bundles)?;
        for (place, count) in &self.planted {
            writeln!(f, "  {count:6} {place}")?;
        }
        for ((miss, place, form), tapes) in &self.misses {
            let first = &tapes[..tapes.len().min(4)];
            writeln!(f, "{miss:?}: {place}: {form}: {} (tapes {first:?})", tapes.len())?;
        }
        if !self.of_the_format.is_empty() {
            let (count, tapes) = (self.of_the_format.len(), &self.of_the_format);
            writeln!(f, "{count} with a name that the format itself writes (tapes {tapes:?})")?;
        }
        writeln!(f, "{} refused, {} deformed", self.refused.len(), self.deformed.len())?;
        self.refused
            .iter()
            .chain(&self.deformed)
            .take(40)
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}
