//! A random tape with planted values.

use super::plant::{Part, Plant};
use super::planting::{HeaderTexts, Planned, anchor, filler, one, piece, plan, structure};
use super::secret::{Form, Secret, between, noise};
use super::story::{BUFFER_SIZE, Step, Story};
use dextape::redaction::RedactionPolicy;
use dextape::schedule::Generator;
use dextape::tape::{Body, Event, Tape};
use dextape_lab::PrivateValue;
use std::collections::VecDeque;

/// A tape, what is planted in it, and what the redactor is told.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) tape: Tape,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) plants: Vec<Plant>,
    pub(crate) policy: RedactionPolicy,
    pub(crate) known: Vec<PrivateValue>,
    /// A value of three bytes at a place of the policy.
    pub(crate) short: Option<Plant>,
}

impl Subject {
    /// The tape of this number.
    pub(crate) fn random(number: u64) -> Self {
        let mut generator = Generator::new(number.wrapping_mul(0x9e37_79b9).wrapping_add(11));
        let random = &mut generator;
        let secrets: Vec<Secret> =
            (0..between(random, 1, 4)).map(|_| Secret::random(random)).collect();
        // Half of the users list their values, the others say where they stand.
        let by_policy = random.below(2) == 0;
        let mut header = HeaderTexts::default();
        let mut rules = "format = 1\nproperties = ['Private']\n".to_owned();
        let mut plants = Vec::new();
        let mut lists: Vec<(usize, VecDeque<Step>)> = Vec::new();
        let mut begun = Vec::new();
        let mut place = 1;
        let mut known = Vec::new();
        for (index, secret) in secrets.iter().enumerate() {
            let mut add = |planned: Planned, form: &Form, place: u32| {
                lists.push((plants.len(), planned.steps.into()));
                plants.push(Plant {
                    secret: index,
                    form: form.name,
                    place: planned.place,
                    bytes: form.bytes.clone(),
                    pieces: Vec::new(),
                });
                debug_assert!(u64::from(place) * 1024 < BUFFER_SIZE);
            };
            if by_policy {
                add(anchor(random, secret, place, &mut rules), &secret.plain(), place);
                place += 1;
            } else {
                known.push(secret.value(random));
            }
            for _ in 0..between(random, 1, 4) {
                let form = secret.form(random);
                add(plan(random, &mut header, secret, &form, place), &form, place);
                place += 1;
            }
        }
        let short = (random.below(4) == 0).then(|| {
            let bytes = noise(random, 3);
            rules.push_str(&format!(
                "[[fields]]\nselector = {place}\nplace = 'input'\nat = 2\nlength = 3\n"
            ));
            let all = [noise(random, 2), bytes.clone(), noise(random, 2)].concat();
            begun.push(one("", move |story| {
                let index = story.call(structure(place, &all), &[], None);
                vec![piece(index, Part::Input, 2, 3)]
            }));
            let form = "bytes";
            Plant { secret: 0, form, place: "short value", bytes, pieces: Vec::new() }
        });

        let mut story = Story::default();
        story.begin();
        let mut short = short;
        for step in begun.into_iter().flat_map(|planned| planned.steps) {
            let pieces = step(&mut story);
            if let Some(short) = &mut short {
                short.pieces.extend(pieces);
            }
        }
        // The steps of all plants in one order, each list in its own.
        while !lists.is_empty() {
            if random.below(3) == 0 {
                filler(random)(&mut story);
            }
            let chosen = random.below(lists.len() as u64) as usize;
            let (plant, steps) = &mut lists[chosen];
            match steps.pop_front() {
                Some(step) => plants[*plant].pieces.extend(step(&mut story)),
                None => drop(lists.swap_remove(chosen)),
            }
        }
        let close = story.event(Some(1), None, Body::Close);
        let closed = Body::Closed { result: dextape::IoReturn::SUCCESS };
        story.event(Some(1), Some(close), closed);

        let Story { script, extras, .. } = story;
        let mut events: Vec<Event> = script.into_events();
        for (index, key, value) in extras {
            events[index].extra.insert(key, value);
        }
        let tape = Tape::new(header.into_header(), events);
        let policy = RedactionPolicy::from_toml(&rules).expect("the policy reads");
        Self { tape, secrets, plants, policy, known, short }
    }
}
