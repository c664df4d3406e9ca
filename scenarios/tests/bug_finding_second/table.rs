//! What the page says beside its rows, and how many bugs have to be found.

/// The page's name in `docs`.
pub(super) const NAME: &str = "bug-exam-second.md";

/// Bugs that have to be found: of the mock and of a tape.
pub(super) const ENOUGH: [usize; 2] = [28, 14];

/// Scenarios whose right client fails in runs of its tape, too: those say nothing.
pub(super) const UNTOLD: &[&str] = &["capture-ring", "irq-page"];

/// The page, with words in capitals for what is found.
pub(super) const PAGE: &str = "\
# The second bug exam

Thirty more bugs in six other clients of the same scenarios (`scenarios/tests/bug_exam_second`): programs of several
threads, with credits, retries, masks and watchdogs. They were written when the [first exam](bug-exam.md) had been worked
on, by an examiner who had not seen what looks for bugs, and the clients were committed before it was tried on them. What
it says is therefore nearer to what a stranger's client meets.

Found on the mock: MOCK of 30; on the tape alone: TAPE of 30, PROVEN of them by a run in which nothing is
extrapolated, each within FULL runs.

It showed four faults of the search, three of them mended and one not:

- A client that only shows how far it is, again and again, made a run that never ended. It ends and fails after an hour of
  its time now, or after twice what it takes undisturbed.
- A right client of shared-buffer failed on its tape: a call of one thread did on the tape what the call of another would
  have done, had the first not come. Such a run ends without a verdict now.
- A right client of irq-page failed on its tape: of two threads each made the call that the tape holds of the other, and a
  completion waited for ever for the one that nobody made. Such a run ends without a verdict, too.
- **The right clients of capture-ring and irq-page fail on their tapes in some runs: false alarms.** Of irq-page where a
  completion is lost: the tape does not hold what the driver would say then. Of capture-ring where the dext dies, and where it
  is extrapolated to be ahead: its tape shows a clock only where the client looked at it, and a device that is ahead has
  moved it on. Runs of these two tapes say nothing, so their ten bugs count as not found there (`void`).

## Why the tape misses what it misses

MISSES

## The table

`cargo xtask prove bug-exam-second` looks for all of them anew and compares this page; the test run makes the
runs that it names.

| bug | found on the mock by | found on the tape by |
|---|---|---|
TABLE
";

/// Why a bug is not found on its tape, of those that are not.
pub(super) const REASONS: &[(&str, &str)] = &[];
