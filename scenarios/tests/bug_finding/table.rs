//! What the page says beside its rows, and how many bugs have to be found.

/// The page's name in `docs`.
pub(super) const NAME: &str = "bug-exam.md";

/// Bugs that have to be found: of the mock and of a tape.
pub(super) const ENOUGH: [usize; 2] = [28, 28];

/// Scenarios whose right client fails in runs of its tape, too: those say nothing.
pub(super) const UNTOLD: &[&str] = &[];

/// The page, with words in capitals for what is found.
pub(super) const PAGE: &str = "\
# The bug exam

Six clients of our scenarios have thirty seeded bugs between them (`scenarios/tests/bug_exam`). Each
hides where nothing disturbs the client, and so in plain replay, which finds none. The table says which
run finds each first, of FULL runs (as many as `check!` makes) under seed 1 in which timing and faults
differ, and what that run needs to differ in once it is shrunk: of the client on the mock, and of the
tape alone that was recorded of the client when nothing disturbed it.

Found on the mock: MOCK of 30; on the tape: TAPE of 30, PROVEN of them by a run in which nothing is
extrapolated. The right variants of the clients fail in none of these runs.

A tape knows less than a mock. What it proves is little: a completion follows from its call. That the
device waits for everything that the client had done before, and answers nothing that it was never
asked, is safe to assume, and hides bugs. So `Check::extrapolate` adds two assumptions to every other
run, and a failure that needs one lists it:

- `extrapolated: device ahead`: the device waits for the call of which its answers come as often, one
  after each; else for the last calls; and of the client's stores to shared memory not for the one that
  answers what the device did last. It may be one step ahead of the client, and never two.
- `extrapolated: calls answered`: a call that the tape does not hold is answered as its nearest like
  was; one of a selector that was never called succeeds, gives zeros and does nothing. A call that would
  change memory is not answered.

Where a word that both sides change is not what the device found on the tape, the device does to it what
it has done to it before: adds the same, sets the same bits, or stores the same. Where that does not
show, a run that looks at the word ends without a verdict.

## Why the tape misses what it misses

MISSES

## The table

`cargo xtask prove bug-exam` looks for all of them anew and compares this page; the test run makes the
runs that it names.

| bug | found on the mock by | found on the tape by |
|---|---|---|
TABLE
";

/// Why a bug is not found on its tape, of those that are not.
pub(super) const REASONS: &[(&str, &str)] = &[
    (
        "SharedFixedSleep",
        "It looks at the flag once, after a sleep. The tape shows the flag set then, and says of the \
         time only that it was not before the call that asks for it. So it may have been set when that \
         call returned, as with any call that fills memory, and a client that does not look again is \
         right. What a call's return may have published is never shown later than the return.",
    ),
    (
        "UsbRetryDoubles",
        "It repeats a write that had gone out, and the device has it twice. How often the device has it \
         stands in the reply to a later call, and the tape holds one such reply: that one number grows \
         with the writes cannot be seen in it. The repeated write is answered and completes, and the \
         count is as recorded.",
    ),
];
