//! The client: calls every selector in every way that it can be called, and prints what came of it.

use super::abi::{Data, OversizedData, SCALARS, USER_CLASS, selector};
use super::parameter;
use crate::print::{Numbers, Outcome, Plain};
use crate::{Parameters, ScenarioError};
use dextape::connection::{
    CallError, CompletionQueue, Connection, ConnectionExt, Matching, System,
};
use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// What the client puts into entries 1 and 2 of the reference, where a C client has its callback and
/// its context.
const CALLBACK: u64 = 1;
const CONTEXT: u64 = 2;

/// What is to be done.
#[derive(Clone, Copy)]
struct Plan {
    synchronous: bool,
    asynchronous: bool,
    threads: u64,
    rounds: u64,
    shared: bool,
}

impl Plan {
    fn of(parameters: &Parameters) -> Result<Self, ScenarioError> {
        let parts = [("all", (true, true)), ("sync", (true, false)), ("async", (false, true))];
        let (synchronous, asynchronous) = parameters.choice(parameter::PART, &parts)?;
        Ok(Self {
            synchronous,
            asynchronous,
            threads: parameters.number(parameter::THREADS, 1..=16)?,
            rounds: parameters.number(parameter::ROUNDS, 1..=1_000_000)?,
            shared: parameters.choice(parameter::CONNECTIONS, &[("one", true), ("each", false)])?,
        })
    }
}

pub(super) fn run(
    parameters: &Parameters,
    system: &Arc<dyn System>,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    let plan = Plan::of(parameters)?;
    let service = system
        .first_service(&Matching::user_class(USER_CLASS))
        .map_err(ScenarioError::refused("find NullDriver"))?;
    let open = || -> Result<Arc<dyn Connection>, ScenarioError> {
        let opened = system.open(service, 0).map_err(ScenarioError::refused("open NullDriver"))?;
        Ok(Arc::from(opened))
    };
    let main = open()?;

    if plan.synchronous {
        let mut tasks = Vec::new();
        for thread in 1..plan.threads {
            let connection = if plan.shared { Arc::clone(&main) } else { open()? };
            tasks.push(system.schedule().spawn(&format!("client {thread}"), move || {
                let mut text = Vec::new();
                let told = rounds(&*connection, thread, plan.rounds, &mut text);
                let closed = (!plan.shared).then(|| connection.close());
                told.map(|()| (text, closed))
            }));
        }
        rounds(&*main, 0, plan.rounds, out)?;
        for (thread, task) in (1..).zip(tasks) {
            let (text, closed) = task.join()?;
            writeln!(out, "-- thread {thread}")?;
            out.write_all(&text)?;
            if let Some(closed) = closed {
                writeln!(out, "close: {}", Plain(closed))?;
            }
        }
    }
    if plan.asynchronous {
        asynchronous(&*main, system, out)?;
    }
    writeln!(out, "close: {}", Plain(main.close()))?;
    writeln!(out, "after it: {}", Outcome(&main.call(selector::SCALAR).send()))?;
    Ok(())
}

/// A structure that came back.
struct Answer(Result<Data, CallError>);

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Ok(data) => write!(f, "ok, foo {} bar {}", data.foo, data.bar),
            Err(CallError::Failed { result, .. }) => result.fmt(f),
            Err(error) => error.fmt(f),
        }
    }
}

/// Some rounds of the synchronous part, each told as it is over; `thread` makes the values of each thread
/// its own.
fn rounds(
    connection: &dyn Connection,
    thread: u64,
    rounds: u64,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let mut text = String::new();
    for round in 0..rounds {
        let base = 1000 * thread + 100 * round;
        text.clear();
        // Writing to a string cannot fail.
        let _ = synchronous(connection, base, &mut text);
        out.write_all(text.as_bytes())?;
    }
    Ok(())
}

fn synchronous(
    connection: &dyn Connection,
    base: u64,
    text: &mut String,
) -> Result<(), std::fmt::Error> {
    let scalars: [u64; SCALARS] = std::array::from_fn(|index| base + index as u64);
    let small = Data { foo: base + 300, bar: base + 400 };
    let large = OversizedData { data: small, large: [base; 511] };
    let mut answer = OversizedData { data: Data::default(), large: [0; 511] };

    let reply = connection.call(selector::SCALAR).scalars(&scalars).want_scalars(SCALARS).send();
    writeln!(text, "scalar: {}", Outcome(&reply))?;
    let reply = connection.call(selector::STRUCT).input(&small).output();
    writeln!(text, "struct: {}", Answer(reply))?;
    let room = bytemuck::bytes_of_mut(&mut answer);
    let reply = connection.call(selector::STRUCT).input(&large).output_bytes(room);
    let rest = if answer.large == large.large { "the same" } else { "changed" };
    writeln!(text, "oversized struct: {}", Outcome(&reply))?;
    writeln!(text, "  {}, the rest {rest}", Answer(Ok(answer.data)))?;
    // Larger than the message in, small enough for it out: the dext has to look at each by itself.
    let reply = connection.call(selector::STRUCT).input(&large).output();
    writeln!(text, "oversized struct in, small out: {}", Answer(reply))?;
    let reply = connection.call(selector::STRUCT).output::<Data>();
    writeln!(text, "struct, nothing in: {}", Answer(reply))?;

    let checked = || connection.call(selector::CHECKED_SCALAR);
    let reply = checked().scalars(&scalars).want_scalars(SCALARS).send();
    writeln!(text, "checked scalar: {}", Outcome(&reply))?;
    let reply = checked().scalars(&scalars[1..]).want_scalars(SCALARS).send();
    writeln!(text, "checked scalar, 15 in: {}", Outcome(&reply))?;
    let reply = checked().scalars(&scalars).want_scalars(SCALARS - 1).send();
    writeln!(text, "checked scalar, 15 out: {}", Outcome(&reply))?;
    let reply = checked().scalars(&scalars).want_scalars(SCALARS).input(&small).send();
    writeln!(text, "checked scalar and a structure: {}", Outcome(&reply))?;

    let checked = || connection.call(selector::CHECKED_STRUCT);
    writeln!(text, "checked struct: {}", Answer(checked().input(&small).output()))?;
    let short = &bytemuck::bytes_of(&small)[1..];
    writeln!(
        text,
        "checked struct, 15 bytes in: {}",
        Answer(checked().input_bytes(short).output())
    )?;
    let reply = checked().input(&small).output_bytes(&mut [0; 17]);
    writeln!(text, "checked struct, 17 bytes out: {}", Outcome(&reply))?;
    writeln!(text, "checked struct, oversized in: {}", Answer(checked().input(&large).output()))?;

    writeln!(text, "no such selector: {}", Outcome(&connection.call(6).send()))
}

fn asynchronous(
    connection: &dyn Connection,
    system: &Arc<dyn System>,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    let queue = system.completion_queue();
    let data = Data { foo: 300, bar: 400 };
    let request = |data: &Data| {
        let wake = dextape::connection::AsyncWake { queue: Some(&*queue), reference: None };
        connection.call(selector::ASYNC_REQUEST).waking(wake).input(data).send()
    };

    // Apple's client expects kIOReturnNotReady here, and Apple's dext answers kIOReturnError.
    writeln!(out, "request before registration: {}", Outcome(&request(&data)))?;
    let register = || connection.call(selector::REGISTER_ASYNC);
    let reply = register().input(&data).output::<Data>();
    writeln!(out, "register without a wake port: {}", Answer(reply))?;
    let reference = [0, CALLBACK, CONTEXT];
    let reply = register().completing_on(&*queue, &[]).input(&data).output::<Data>();
    writeln!(out, "register with an empty reference: {}", Answer(reply))?;
    let reply = register().completing_on(&*queue, &reference).input(&data).output::<Data>();
    writeln!(out, "register: {}", Answer(reply))?;
    wait(&*queue, system, 1, out)?;

    for step in [1, 2] {
        let data = Data { foo: 300 + step, bar: 400 + step };
        writeln!(out, "request: {}", Outcome(&request(&data)))?;
        wait(&*queue, system, 1, out)?;
        wait(&*queue, system, 10, out)?;
    }
    // Two at once are answered one after the other.
    for step in [3, 4] {
        let data = Data { foo: 300 + step, bar: 400 + step };
        writeln!(out, "request: {}", Outcome(&request(&data)))?;
    }
    wait(&*queue, system, 10, out)?;
    wait(&*queue, system, 10, out)?;
    writeln!(out, "left over: {}", if queue.poll().is_some() { "yes" } else { "no" })?;
    Ok(())
}

/// Waits for a completion up to so many seconds and prints it. How long it took is told in words that
/// hold in real time, too.
fn wait(
    queue: &dyn CompletionQueue,
    system: &Arc<dyn System>,
    seconds: u64,
    out: &mut dyn Write,
) -> Result<(), ScenarioError> {
    let before = system.schedule().now();
    let Some(completion) = queue.wait(Some(Duration::from_secs(seconds))) else {
        writeln!(out, "  no completion within {seconds} s")?;
        return Ok(());
    };
    let passed = system.schedule().now().saturating_sub(before);
    let when = if passed < Duration::from_secs(1) { "at once" } else { "some seconds later" };
    writeln!(
        out,
        "  completion {when}: {}, arguments {}, reference {}",
        Plain(completion.status),
        Numbers(&completion.arguments),
        Numbers(&completion.reference[..4]),
    )?;
    Ok(())
}
