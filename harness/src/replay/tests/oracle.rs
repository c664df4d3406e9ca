//! The replayer against a decision table: a slow matcher that looks at the list of operations only.

use super::story::{Story, Told, open};
use crate::connection::{AsyncWake, CompletionQueue, Connection, MethodInput, MethodOutput};
use crate::replay::{Policy, ReplayOptions, Replayer};
use crate::schedule::Schedule;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

/// What a client does; connections are 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Call { connection: u32, selector: u32, scalar: u64 },
    Start { connection: u32, scalar: u64 },
    Poll,
}

/// What it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Reply(u64),
    Nothing,
    Diverges,
}

/// An operation of the tape: a take names the start whose completion it is.
#[derive(Clone, Copy, Debug)]
struct Operation {
    lane: u32,
    action: Action,
    start: Option<usize>,
    reply: u64,
}

/// The decision table.
struct Oracle {
    policy: Policy,
    operations: Vec<(Operation, bool)>,
    /// Lane of each thread, where it has one; thread 0 has opened.
    lanes: [Option<u32>; 3],
    several: bool,
    /// Behind which operation of its stream each stream is.
    positions: BTreeMap<Option<u32>, usize>,
}

impl Oracle {
    fn new(policy: Policy, operations: &[Operation]) -> Self {
        let several = operations.iter().any(|operation| operation.lane != 1);
        let operations = operations.iter().map(|operation| (*operation, false)).collect();
        Self {
            policy,
            operations,
            lanes: [Some(1), None, None],
            several,
            positions: BTreeMap::new(),
        }
    }

    fn answer(&mut self, thread: usize, action: Action) -> Answer {
        let found = self.find(thread, action);
        let poll = action == Action::Poll;
        match found {
            Some(index) => {
                self.operations[index].1 = true;
                self.positions.insert(stream(action), self.place(index) + 1);
                if self.lanes[thread].is_none() {
                    self.lanes[thread] = Some(self.operations[index].0.lane);
                }
                Answer::Reply(self.operations[index].0.reply)
            }
            None if poll => Answer::Nothing,
            None => Answer::Diverges,
        }
    }

    /// How many operations of its stream stand before this one.
    fn place(&self, index: usize) -> usize {
        let own = stream(self.operations[index].0.action);
        self.operations[..index].iter().filter(|(other, _)| stream(other.action) == own).count()
    }

    fn find(&self, thread: usize, action: Action) -> Option<usize> {
        let due = |index: &usize| {
            let (operation, _) = &self.operations[*index];
            operation.start.is_none_or(|start| self.operations[start].1)
        };
        let equal = |index: &usize| self.operations[*index].0.action == action;
        let mut unused = (0..self.operations.len()).filter(|index| !self.operations[*index].1);
        let turn = unused.clone().next();
        // Nobody else goes on meanwhile, so another one's turn stays that.
        let in_turn = |index: &usize| self.policy != Policy::Exact || turn == Some(*index);
        let first_of = |lane: u32| {
            (0..self.operations.len()).find(|index| {
                let (operation, used) = &self.operations[*index];
                !used && (operation.lane == lane || !self.several)
            })
        };
        match self.policy {
            Policy::AnyOrder => unused.find(|index| equal(index) && due(index)),
            Policy::Nearest => {
                let at = self.positions.get(&stream(action)).copied().unwrap_or(0);
                let fits = unused.filter(|index| equal(index) && due(index));
                // Of two as near the later.
                fits.min_by_key(|index| (self.place(*index).abs_diff(at), usize::MAX - index))
            }
            Policy::Ordered => unused
                .find(|index| stream(self.operations[*index].0.action) == stream(action))
                .filter(|index| equal(index) && due(index)),
            Policy::Lanes | Policy::Exact | Policy::AcrossGaps => {
                let lane = self.lanes[thread].or_else(|| {
                    // The first lane that nobody has and whose next operation is this one.
                    (1..=3).find(|lane| {
                        let free = !self.lanes.contains(&Some(*lane)) || !self.several;
                        let first = first_of(*lane).filter(equal);
                        // A poll that finds nothing binds nobody.
                        let poll =
                            |index: &usize| action != Action::Poll || due(index) && in_turn(index);
                        free && first.filter(poll).is_some()
                    })
                })?;
                first_of(lane).filter(|index| equal(index) && due(index) && in_turn(index))
            }
        }
    }
}

/// What `ordered` orders by: the connection, or the queue.
fn stream(action: Action) -> Option<u32> {
    match action {
        Action::Call { connection, .. } | Action::Start { connection, .. } => Some(connection),
        Action::Poll => None,
    }
}

/// The tape of these operations.
fn tape(operations: &[Operation], policy: Policy) -> Replayer {
    let mut story = Story::new();
    story.open(1);
    story.open(1);
    story.queue(1, 1);
    let mut starts = Vec::new();
    for operation in operations {
        let mut started = 0;
        match operation.action {
            Action::Call { connection, selector, scalar } => {
                let told = Told::scalar(selector, scalar, operation.reply);
                story.call(operation.lane, connection + 1, &told);
            }
            Action::Start { connection, scalar } => {
                let told = Told::scalar(9, scalar, operation.reply);
                started = story.call_async(operation.lane, connection + 1, &told, 1, &[0]);
            }
            Action::Poll => {
                let start = operation.start.map_or(0, |start| starts[start]);
                let posted = story.posted(start, &[0], operation.reply);
                story.take(operation.lane, 1, posted);
            }
        }
        starts.push(started);
    }
    let patience = Duration::from_millis(3);
    story.replayer(ReplayOptions::default().policy(policy).patience(patience))
}

/// Makes an action on the calling thread.
fn act(connections: &[Box<dyn Connection>], queue: &dyn CompletionQueue, action: Action) -> Answer {
    let mut reply = [0];
    let mut output = MethodOutput::new(&mut reply, crate::connection::StructureOutput::None);
    let result = catch_unwind(AssertUnwindSafe(|| match action {
        Action::Call { connection, selector, scalar } => {
            let input = MethodInput { scalars: &[scalar], ..MethodInput::default() };
            let _ = connections[connection as usize].call_method(selector, &input, &mut output);
            Answer::Reply(0)
        }
        Action::Start { connection, scalar } => {
            let input = MethodInput { scalars: &[scalar], ..MethodInput::default() };
            let wake = AsyncWake { queue: Some(queue), reference: Some(&[0]) };
            let connection = &connections[connection as usize];
            let _ = connection.call_async_method(9, &wake, &input, &mut output);
            Answer::Reply(0)
        }
        Action::Poll => match queue.poll() {
            Some(completion) => Answer::Reply(completion.arguments[0]),
            None => Answer::Nothing,
        },
    }));
    match result {
        Ok(Answer::Reply(_)) if action != Action::Poll => Answer::Reply(reply[0]),
        Ok(answer) => answer,
        Err(_report) => Answer::Diverges,
    }
}

/// What the replayer answers, one action after the other, each on its thread.
fn replay(replayer: &Replayer, actions: &[(usize, Action)]) -> Vec<Answer> {
    let system = replayer.system(&Schedule::free());
    let first = open(&*system);
    let second = system.open(crate::call::ServiceId(1), 0).unwrap();
    let connections: Arc<[Box<dyn Connection>]> = Arc::from([first, second]);
    let queue = system.completion_queue();
    let (queue, connections) = (&queue, &connections);
    std::thread::scope(|scope| {
        let (answers, answered) = mpsc::channel();
        let workers: Vec<mpsc::Sender<Action>> = (1..3)
            .map(|_| {
                let (actions, todo) = mpsc::channel();
                let answers = answers.clone();
                scope.spawn(move || {
                    for action in todo {
                        let _ = answers.send(act(connections, &**queue, action));
                    }
                });
                actions
            })
            .collect();
        let mut got = Vec::new();
        for (thread, action) in actions {
            got.push(match thread {
                0 => act(connections, &**queue, *action),
                other => {
                    workers[other - 1].send(*action).unwrap();
                    answered.recv().unwrap()
                }
            });
            if got.last() == Some(&Answer::Diverges) {
                break;
            }
        }
        drop(workers);
        got
    })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (0..2_u32, 0..2_u32, 0..2_u64).prop_map(|(connection, selector, scalar)| {
            Action::Call { connection, selector, scalar }
        }),
        2 => (0..2_u32, 0..2_u64)
            .prop_map(|(connection, scalar)| Action::Start { connection, scalar }),
        2 => Just(Action::Poll),
    ]
}

/// Operations of a tape: a poll finds something only after a start that nobody has taken.
fn operations(lanes: u32) -> impl Strategy<Value = Vec<Operation>> {
    let operation = (1..=lanes, action(), any::<Index>());
    proptest::collection::vec(operation, 1..14).prop_map(|drawn| {
        let mut operations: Vec<Operation> = Vec::new();
        let mut pending: Vec<usize> = Vec::new();
        for (lane, action, index) in drawn {
            let number = operations.len();
            let start = match action {
                Action::Poll if pending.is_empty() => continue,
                Action::Poll => Some(pending.remove(index.index(pending.len()))),
                _ => None,
            };
            if matches!(action, Action::Start { .. }) {
                pending.push(number);
            }
            operations.push(Operation { lane, action, start, reply: 100 + number as u64 });
        }
        operations
    })
}

/// A client near to the tape: its operations, some of them moved, left out, changed, or made by another
/// thread, and polls in between.
fn client(operations: &[Operation]) -> impl Strategy<Value = Vec<(usize, Action)>> + use<> {
    let operations = operations.to_vec();
    let count = operations.len();
    let noise = (any::<Index>(), 0..30_u32, action(), 0..3_usize);
    proptest::collection::vec(noise, count).prop_map(move |noise| {
        let mut actions = Vec::new();
        for (operation, (index, kind, other, thread)) in operations.iter().zip(noise) {
            let own = (operation.lane as usize - 1, operation.action);
            match kind {
                0 => actions.push((own.0, other)),
                1 => actions.push((thread, own.1)),
                2 => {}
                3..=6 => actions.insert(index.index(actions.len() + 1), own),
                7..=9 => actions.extend([(thread, Action::Poll), own]),
                _ => actions.push(own),
            }
        }
        actions
    })
}

fn case() -> impl Strategy<Value = (Vec<Operation>, Vec<(usize, Action)>)> {
    (1..=3_u32)
        .prop_flat_map(operations)
        .prop_flat_map(|operations| (Just(operations.clone()), client(&operations)))
}

proptest! {
    #[test]
    fn replayer_matches_oracle((operations, actions) in case()) {
        for policy in Policy::ALL {
            let replayer = tape(&operations, policy);
            let got = replay(&replayer, &actions);
            let end = replayer.finish();
            let mut oracle = Oracle::new(policy, &operations);
            for (number, (answer, (thread, action))) in got.iter().zip(&actions).enumerate() {
                let expected = oracle.answer(*thread, *action);
                prop_assert_eq!(*answer, expected, "{} of action {}", policy, number);
            }
            let diverged = got.last() == Some(&Answer::Diverges);
            prop_assert_eq!(got.len() < actions.len() || diverged, diverged);
            match end {
                Ok(report) => {
                    prop_assert!(!diverged);
                    let used = oracle.operations.iter().filter(|(_, used)| *used).count() as u64;
                    // Found, opened twice, and a queue.
                    prop_assert_eq!(report.used, used + 4);
                }
                Err(_) => prop_assert!(diverged),
            }
        }
    }
}
