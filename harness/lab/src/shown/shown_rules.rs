//! Gathering what the events of a tape show.

use super::call::{self, Entered};
use super::codes;
use super::connection::Connection;
use dextape::IoReturn;
use dextape::boundary::{Rule, RuleSet};
use dextape::call::MapOptions;
use dextape::limits::PAGE_SIZE;
use dextape::tape::{Body, Event, Header, MappedMemory, OtherCall, Sequence};
use std::collections::BTreeMap;

/// Operations, calls or connections beyond this at one time are not followed.
const AT_ONCE_MAX: usize = 1 << 16;

/// Rules that a tape shows, or one of which it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The rule; several where any of them comes to what the tape holds.
    pub rules: RuleSet,
    /// The first event that shows it.
    pub first: Sequence,
    /// How many do.
    pub times: u64,
}

/// Gathers the rules that the events of a tape show, one event after the other.
///
/// # Examples
///
/// ```
/// use dextape::IoReturn;
/// use dextape::boundary::Rule;
/// use dextape::call::Scalars;
/// use dextape::tape::{Body, Call, Event, Header, OutputKind, Return, Structure};
/// use dextape_lab::ShownRules;
///
/// let call = Call {
///     selector: 4,
///     scalars: Scalars::clamped(&[0; 16]),
///     scalar_count: 17,
///     input: Structure::None,
///     scalars_asked: 0,
///     output: OutputKind::None,
/// };
/// let (scalars, result) = (Scalars::default(), IoReturn::MIG_ARRAY_TOO_LARGE);
/// let returned = Return { result, scalars, structure_size: None, structure: None };
/// let mut leave = Event::new(2, 1, 2, Body::Return(returned));
/// leave.cause = Some(1);
///
/// let mut shown = ShownRules::new(&Header::mock());
/// shown.event(&Event::new(1, 1, 1, Body::Call(call)));
/// shown.event(&leave);
/// assert!(shown.certain().has(Rule::A2));
/// assert_eq!(shown.iter().next().unwrap().first, 2);
/// ```
#[derive(Debug)]
pub struct ShownRules {
    of_dext: bool,
    page_size: u64,
    /// Operations that were entered and have not left.
    inside: BTreeMap<Sequence, Inside>,
    /// Asynchronous calls, for their completions: connection and reference.
    calls: BTreeMap<Sequence, (Option<u32>, Vec<u64>)>,
    connections: BTreeMap<u32, Connection>,
    shown: BTreeMap<Vec<Rule>, (Sequence, u64)>,
}

/// An operation between its two events.
#[derive(Debug)]
struct Inside {
    connection: Option<u32>,
    operation: Operation,
    /// Its connection was certainly terminated meanwhile.
    terminated: bool,
    /// The connection had ended before.
    dead: Option<IoReturn>,
}

#[derive(Debug)]
enum Operation {
    Call(Box<Entered>),
    Open { service: u32 },
    Map { memory_type: u32, options: u32 },
    Unmap { memory_type: u32, memory: Option<u32> },
    Close,
    Other(OtherCall),
}

impl ShownRules {
    /// Nothing is shown yet by the tape with this header.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        Self {
            of_dext: !header.is_of_kernel_extension(),
            page_size: if header.page_size == 0 { PAGE_SIZE } else { header.page_size },
            inside: BTreeMap::new(),
            calls: BTreeMap::new(),
            connections: BTreeMap::new(),
            shown: BTreeMap::new(),
        }
    }

    /// What is shown so far, what is shown first before.
    pub fn iter(&self) -> impl Iterator<Item = Shown> {
        let shown = |(rules, (first, times)): (&Vec<Rule>, &(Sequence, u64))| Shown {
            rules: rules.iter().copied().collect(),
            first: *first,
            times: *times,
        };
        let mut all: Vec<Shown> = self.shown.iter().map(shown).collect();
        all.sort_by_key(|shown| shown.first);
        all.into_iter()
    }

    /// The rules that are shown by themselves.
    #[must_use]
    pub fn certain(&self) -> RuleSet {
        self.shown.keys().filter(|rules| rules.len() == 1).flatten().copied().collect()
    }

    /// The next event.
    pub fn event(&mut self, event: &Event) {
        if let Some(operation) = operation(&event.body) {
            self.enter(event, operation);
            return;
        }
        match &event.body {
            Body::Posted { ordinal, status, reference, .. } => {
                self.posted(event, *ordinal, *status, reference);
            }
            Body::Terminated { service } => self.terminated(event, *service),
            Body::Gap { .. } | Body::Exec => self.lost(),
            Body::Keyframe(keyframe) => {
                self.lost();
                for (connection, service) in keyframe.connections.iter().take(AT_ONCE_MAX) {
                    self.connections.insert(*connection, Connection::new(Some(*service), true));
                }
            }
            body if body.is_leave() => {
                if let Some(inside) = event.cause.and_then(|enter| self.inside.remove(&enter)) {
                    self.leave(event, inside);
                }
            }
            _ => {}
        }
    }

    fn shows(&mut self, at: Sequence, rules: &[Rule]) {
        if rules.is_empty() {
            return;
        }
        let (_, times) = self.shown.entry(rules.to_vec()).or_insert((at, 0));
        *times += 1;
    }

    /// From here on less is certain.
    fn lost(&mut self) {
        self.connections.values_mut().for_each(|connection| connection.vague = true);
        self.inside.clear();
    }

    fn enter(&mut self, event: &Event, operation: Operation) {
        let known = event.connection.and_then(|it| self.connections.get(&it));
        let dead = known.and_then(Connection::dead);
        if let Body::AsyncCall { reference, .. } = &event.body
            && self.calls.len() < AT_ONCE_MAX
        {
            let reference = reference.clone().unwrap_or_default();
            self.calls.insert(event.sequence, (event.connection, reference));
        }
        if self.inside.len() < AT_ONCE_MAX {
            let (connection, terminated) = (event.connection, false);
            let inside = Inside { connection, operation, terminated, dead };
            self.inside.insert(event.sequence, inside);
        }
    }

    fn leave(&mut self, event: &Event, inside: Inside) {
        let at = event.sequence;
        let dead = inside.dead;
        match (&event.body, &inside.operation) {
            (Body::Opened, Operation::Open { service }) => {
                if let Some(number) = event.connection
                    && self.connections.len() < AT_ONCE_MAX
                {
                    self.connections.insert(number, Connection::new(Some(*service), false));
                }
            }
            (Body::OpenFailed { result }, Operation::Open { .. }) => {
                self.shows(at, codes::of_open(*result));
            }
            (Body::Return(returned), Operation::Call(entered)) => {
                let result = returned.result;
                if let Some(rule) = call::refused(entered, result) {
                    return self.shows(at, &[rule]);
                }
                if dead.is_some_and(|dead| dead == result) {
                    let rule = self.why_dead(inside.connection);
                    return self.shows(at, &[rule]);
                }
                if inside.terminated && result.is_success() {
                    self.shows(at, &[Rule::H3]);
                }
                for rule in call::returned(entered, returned, self.of_dext) {
                    self.shows(at, &[rule]);
                }
                let ever_mapped = self.known(inside.connection).is_none_or(|it| it.ever_mapped);
                let rules = codes::of_method(result, ever_mapped);
                // Whatever the system says of a kernel extension's methods, it may itself have said.
                let certain = self.of_dext || rules.len() > 1;
                self.shows(at, if certain { rules } else { &[] });
            }
            (Body::Mapped { outcome: Ok(mapped) }, Operation::Map { memory_type, options }) => {
                self.mapped(event, mapped, *memory_type, *options);
            }
            (Body::Mapped { outcome: Err(code) }, Operation::Map { .. }) => {
                let ever_mapped = self.known(inside.connection).is_none_or(|it| it.ever_mapped);
                let rules: &[Rule] = match *code {
                    code if dead == Some(code) => &[Rule::H1],
                    IoReturn::BAD_ARGUMENT if ever_mapped => &[Rule::F5, Rule::H1],
                    IoReturn::BAD_ARGUMENT => &[Rule::F5],
                    IoReturn::MACH_SEND_INVALID_DEST => &[Rule::A15, Rule::H1],
                    _ => &[],
                };
                self.shows(at, rules);
            }
            (Body::Unmapped { result }, Operation::Unmap { memory_type, memory }) => {
                self.unmapped(at, (inside.connection, dead), (*memory_type, *memory), *result);
            }
            (Body::Closed { .. }, Operation::Close) => {
                let shown = self.known(inside.connection).and_then(Connection::close);
                self.shows(at, shown.as_slice());
            }
            (Body::OtherReturn { outcome }, Operation::Other(call)) => {
                self.other(at, inside.connection, dead, call, outcome.err());
            }
            _ => {}
        }
    }

    fn known(&mut self, connection: Option<u32>) -> Option<&mut Connection> {
        self.connections.get_mut(&connection?)
    }

    /// The rule by which a connection that has ended refuses calls.
    fn why_dead(&mut self, connection: Option<u32>) -> Rule {
        // Without a right there is nobody to send to; with one there is a port that is dead.
        let gone = self.known(connection).is_some_and(|it| !it.has_rights());
        if gone { Rule::A15 } else { Rule::H1 }
    }

    fn mapped(&mut self, event: &Event, mapped: &MappedMemory, memory_type: u32, options: u32) {
        let at = event.sequence;
        let mut rules = Vec::new();
        rules.extend((options & !MapOptions::USER_MASK.0 != 0).then_some(Rule::F1));
        rules.extend(mapped.read_only.then_some(Rule::F2));
        rules.extend((options & MapOptions::ANYWHERE.0 == 0).then_some(Rule::F9));
        rules.extend((!mapped.length.is_multiple_of(self.page_size)).then_some(Rule::F10));
        let others =
            self.connections.iter().filter(|(number, _)| Some(**number) != event.connection);
        let shared = others.clone().any(|(_, other)| other.has(mapped.memory) && !other.closed);
        rules.extend(shared.then_some(Rule::F14));
        let known = self.known(event.connection);
        rules.extend(known.and_then(|known| known.mapped(memory_type, mapped)));
        for rule in rules {
            self.shows(at, &[rule]);
        }
    }

    fn unmapped(
        &mut self,
        at: Sequence,
        (connection, dead): (Option<u32>, Option<IoReturn>),
        (memory_type, memory): (u32, Option<u32>),
        result: IoReturn,
    ) {
        let Some(known) = self.known(connection) else { return };
        let shown = known.unmapped(memory_type, result);
        match (result, memory) {
            (IoReturn::SUCCESS, None) => {
                known.forget_all();
                self.shows(at, &[Rule::F15]);
            }
            (IoReturn::SUCCESS, Some(memory)) => known.forget(memory),
            (result, _) if dead == Some(result) => self.shows(at, &[Rule::H1]),
            (IoReturn::BAD_ARGUMENT, _) => {
                let any: &[Rule] = &[Rule::F17, Rule::F18, Rule::F20, Rule::H1];
                self.shows(at, shown.as_ref().map_or(any, std::slice::from_ref));
            }
            (IoReturn::UNSUPPORTED, _) => self.shows(at, &[Rule::F18, Rule::F21]),
            (IoReturn::MIG_SERVER_DIED, _) => self.shows(at, &[Rule::H4]),
            (IoReturn::MACH_SEND_INVALID_DEST, _) => {
                self.shows(at, &[Rule::A15, Rule::H1, Rule::H5])
            }
            _ => self.shows(at, &[Rule::F18]),
        }
    }

    fn other(
        &mut self,
        at: Sequence,
        connection: Option<u32>,
        dead: Option<IoReturn>,
        call: &OtherCall,
        failed: Option<IoReturn>,
    ) {
        let unsupported = failed == Some(IoReturn::UNSUPPORTED) && self.of_dext;
        let rules: &[Rule] = match call {
            OtherCall::SetNotificationPort { .. } if unsupported => &[Rule::G16],
            OtherCall::AddClient { .. } if unsupported => &[Rule::G17],
            OtherCall::GetService if unsupported => &[Rule::G18],
            OtherCall::SetProperties { .. } if unsupported => &[Rule::G19],
            OtherCall::SetProperties { .. } if failed == Some(IoReturn::MESSAGE_TOO_LARGE) => {
                &[Rule::G19]
            }
            OtherCall::Trap { index: 2.., .. } if failed.is_none() => &[Rule::G20],
            OtherCall::Trap { .. } if failed == Some(IoReturn::BAD_ARGUMENT) && dead.is_some() => {
                &[Rule::G21]
            }
            OtherCall::Trap { .. } if failed == Some(IoReturn::BAD_ARGUMENT) => {
                &[Rule::G21, Rule::H8]
            }
            OtherCall::AddRef | OtherCall::Release => {
                if failed.is_none()
                    && let Some(known) = self.known(connection)
                {
                    known.rights(matches!(call, OtherCall::AddRef));
                }
                &[]
            }
            _ if dead.is_some() && dead == failed => &[Rule::H1],
            _ => &[],
        };
        self.shows(at, rules);
    }

    fn posted(&mut self, event: &Event, ordinal: u64, status: IoReturn, reference: &[u64]) {
        let (at, cause) = (event.sequence, event.cause);
        let mut rules = Vec::new();
        rules.extend((ordinal > 1).then_some(Rule::D11));
        rules.extend((!status.is_success()).then_some(Rule::D14));
        rules.extend(cause.is_some_and(|it| self.inside.contains_key(&it)).then_some(Rule::D17));
        if let Some((connection, given)) = cause.and_then(|call| self.calls.get(&call)) {
            let rest = |words: &[u64]| words.get(1..).unwrap_or_default().to_vec();
            let (given, back) = (rest(given), rest(reference));
            let same = back.starts_with(&given) && given.iter().any(|word| *word != 0);
            rules.extend(same.then_some(Rule::D8));
            let known = connection.and_then(|it| self.connections.get(&it));
            let over = known.is_some_and(|it| it.closed || it.is_terminated() && !it.vague);
            rules.extend(over.then_some(Rule::D21));
        }
        for rule in rules {
            self.shows(at, &[rule]);
        }
    }

    /// A client tells late that a service has ended: only the device's side says when.
    fn terminated(&mut self, event: &Event, service: Option<u32>) {
        let certain = event.lane == 0;
        let mut ended = Vec::new();
        for (number, connection) in &mut self.connections {
            let meant = match service {
                Some(_) => connection.service == service,
                None => event.connection == Some(*number),
            };
            if meant && certain {
                connection.terminate();
                ended.push(*number);
            } else if meant {
                connection.vague = true;
            }
        }
        for inside in self.inside.values_mut() {
            inside.terminated |= inside.connection.is_some_and(|it| ended.contains(&it));
        }
    }
}

/// The operation that an event enters.
fn operation(body: &Body) -> Option<Operation> {
    let entered = |call, asynchronous| Operation::Call(Box::new(Entered { call, asynchronous }));
    Some(match body {
        Body::Call(call) => entered(call.clone(), None),
        Body::AsyncCall { call, queue, reference } => {
            entered(call.clone(), Some((queue.is_some(), reference.clone())))
        }
        Body::Open { service, .. } => Operation::Open { service: *service },
        Body::Map { memory_type, options, .. } => {
            Operation::Map { memory_type: *memory_type, options: *options }
        }
        Body::Unmap { memory_type, memory } => {
            Operation::Unmap { memory_type: *memory_type, memory: *memory }
        }
        Body::Close => Operation::Close,
        Body::OtherCall(call) => Operation::Other(call.clone()),
        _ => return None,
    })
}
