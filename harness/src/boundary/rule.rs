//! The rules by their numbers, and the set of those that are in force.

use std::fmt;
use std::str::FromStr;

macro_rules! rules {
    ($($name:ident = $says:literal;)*) => {
        /// A rule of the boundary, by its number in the semantics reference. Here are all that this
        /// crate keeps; each has a test of its own, see [`tests_by_rule`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $says] $name,)*
        }

        impl Rule {
            /// Every rule, in order of number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The number as the reference writes it, such as `A2`.
            #[must_use]
            pub const fn number(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// What the rule says, in one sentence.
            #[must_use]
            pub const fn says(self) -> &'static str {
                match self {
                    $(Self::$name => $says,)*
                }
            }
        }
    };
}

rules! {
    A1 = "The scalar and structure calls are the general call with the other half NULL and 0.";
    A2 = "More than 16 scalar inputs are refused by the library; nothing is sent.";
    A3 = "A NULL input with a count that would be copied faults before sending.";
    A4 = "A NULL output count is a count of 0; its buffer is never touched.";
    A5 = "A scalar output count over 16 is clamped to 16 without an error.";
    A6 = "A NULL output with a count faults after the call, when the reply is copied.";
    A7 = "An input of count 0 is no input, wherever its pointer points.";
    A8 = "A structure input up to 4096 bytes is copied into the message.";
    A9 = "A structure input over 4096 bytes is sent as address and size.";
    A10 = "A NULL structure input over 4096 bytes is no error and no input.";
    A11 = "A structure output up to 4096 bytes is in-line, above that out of line.";
    A12 = "A NULL structure output over 4096 bytes is no error; its size comes back as 32 bits.";
    A13 = "An out-of-line output of 4 GiB or more is refused before the dext is called.";
    A14 = "A size of -3 asks for variable output, which is emptied on failure.";
    A15 = "A null, dead or unknown connection name is an invalid destination.";
    A16 = "A port of another kind is a bad argument.";
    A17 = "A failed call leaves counts and in-line outputs as they were.";
    A18 = "The client's counts are checked first, then the connection, then what the kernel checks.";
    B1 = "The selector is zero-extended and not range-checked; the arguments have version 2.";
    B2 = "The dext sees min(asked, 16) scalar outputs, all zero.";
    B3 = "A structure input up to 4096 bytes is an OSData of exactly that length.";
    B4 = "A structure input over 4096 bytes is a descriptor of exactly that length.";
    B5 = "An input descriptor is read-only and a snapshot taken at its first mapping.";
    B6 = "A bad out-of-line pointer is found when the dext maps it, not by the call.";
    B7 = "The maximum of structure output is what the client asked for.";
    B8 = "What the dext writes through an output descriptor stays, even when the call fails.";
    B9 = "There is a completion if and only if an asynchronous call has a wake port.";
    B10 = "Inputs and descriptors are released after the method unless the dext retained them.";
    B11 = "The scalar input is a pointer even where its count is 0.";
    C1 = "A shorter structure output is copied with its own length; the rest is untouched.";
    C2 = "A structure output over the maximum makes the call fail; nothing is copied.";
    C3 = "A structure output that was never set comes back as zero bytes of the size asked for.";
    C4 = "The size of an out-of-line output always comes back as asked for.";
    C5 = "Structure output beside an output descriptor must be empty.";
    C6 = "Variable output may have any length but must be set.";
    C7 = "The scalar count returned is the smaller of asked and written.";
    C8 = "Scalar outputs that the dext leaves alone come back as zeros.";
    C9 = "The result of the method is passed through as 32 bits.";
    C10 = "A reply that cannot be decoded has a code for each kind of damage.";
    D1 = "More than 8 references are refused by the library.";
    D2 = "A NULL reference with count 0 is one zero entry.";
    D3 = "A reference with count 0 is refused by the kernel.";
    D4 = "A NULL reference with a count faults before sending.";
    D5 = "The wake port must be a receive right of the caller.";
    D6 = "A call without a wake port is delivered without a completion.";
    D7 = "The first reference comes back as 0.";
    D8 = "The other references come back verbatim, missing ones as 0.";
    D9 = "The callback function is reference 1 and its context reference 2.";
    D10 = "An asynchronous call returns its result and outputs at once.";
    D11 = "A retained completion may be fired any number of times.";
    D12 = "A completion that is not retained is gone when the method returns.";
    D13 = "A completion of more than 16 arguments is dropped.";
    D14 = "A completion's status is delivered verbatim.";
    D17 = "Completions arrive in the order in which they were fired, also before the call returns.";
    D18 = "The port's own limit is ignored; from 65534 undelivered messages on others are dropped.";
    D19 = "A completion to a destroyed port is discarded.";
    D20 = "A completion of an aborted action is discarded.";
    D21 = "Completions are delivered after the connection was closed.";
    E1 = "A dispatch entry demands a completion, forbids it, or does not care.";
    E2 = "A dispatch entry demands scalar counts and the input size, or does not care.";
    E3 = "A dispatch entry demands the output size asked for, or does not care.";
    E4 = "A dispatch entry whose checks pass is called; without a function there is no completion.";
    E5 = "The function is looked at last.";
    E6 = "The framework has no table of selectors, so it refuses none as out of range.";
    E7 = "The base method without a dispatch entry is unsupported.";
    E8 = "A kext's dispatch entry has no completion check.";
    E9 = "A kext's dispatch array checks selector, counts, wake port, entitlement and function.";
    F1 = "Of the client's mapping options the low 12 bits count.";
    F2 = "The dext alone makes a mapping read-only.";
    F3 = "The direction of a descriptor does not make its mapping read-only.";
    F4 = "The dext is asked once a map and once an unmap; each answer costs it one reference.";
    F5 = "A map that fails gives a bad argument, whatever the dext said.";
    F6 = "A map with a NULL address or size faults before sending.";
    F7 = "A map or unmap without a task is a bad argument; the dext is not asked.";
    F8 = "A mapping anywhere ignores the address handed in.";
    F9 = "A mapping at a fixed address is rounded down to its page and needs free room.";
    F10 = "The size of a mapping is the descriptor's length; whole pages are accessible.";
    F11 = "The same descriptor mapped again is the same mapping.";
    F12 = "Another cache mode, protection or fixed address is a second mapping.";
    F13 = "A shorter length finds the old mapping, a longer one makes a new one.";
    F14 = "Two connections of a task share the mapping of a descriptor; each holds it.";
    F15 = "An unmap ignores its address and takes the oldest compatible mapping.";
    F16 = "Maps do not nest: one unmap undoes them all.";
    F17 = "An unmap of what another connection mapped succeeds without effect.";
    F18 = "An unmap passes the dext's error through.";
    F19 = "An unmap for which the dext answers no memory succeeds without effect.";
    F20 = "An unmap goes by the descriptor that the dext answers now.";
    F23 = "The mappings of a connection are gone when its last right is.";
    F24 = "The mappings of a closed connection stay while another right is held.";
    F25 = "The mappings of a terminated connection stay until the last right is dropped.";
    G1 = "An open of what is no service is a bad argument.";
    G2 = "An open passes the error of NewUserClient through.";
    G3 = "An open for which the dext makes no object is an error.";
    G9 = "The type of an open is passed through, and every open makes a new user client.";
    G12 = "A close drops one right, whatever it returns.";
    G13 = "A close terminates the user client before it returns.";
    G15 = "A user client is stopped exactly once, by close or by its last right.";
    G21 = "A trap on a bad port is a bad argument.";
    H1 = "A terminated connection is an invalid destination, or a bad argument if it ever mapped.";
    H2 = "A close of a terminated connection succeeds if it ever mapped.";
    H3 = "Calls that are inside the dext at termination finish with their own result.";
    H4 = "Calls that are inside the dext when it dies give a dead server, but for a map.";
    K2 = "Map, unmap and close of a connection wait for its running methods.";
    K3 = "The methods of one connection run one at a time on the dext's queue.";
}

const _: () = assert!(Rule::ALL.len() <= 128, "the set is 128 bits");

impl Rule {
    const fn bit(self) -> u128 {
        1 << (self as u8)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.number())
    }
}

/// A number that is none of a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("find rule {0:?}: it is none of the numbers of the semantics reference that are kept here")]
pub struct UnknownRule(String);

impl FromStr for Rule {
    type Err = UnknownRule;

    fn from_str(number: &str) -> Result<Self, UnknownRule> {
        let found = Self::ALL.iter().find(|rule| rule.number().eq_ignore_ascii_case(number));
        found.copied().ok_or_else(|| UnknownRule(number.chars().take(16).collect()))
    }
}

/// The rules in force. Carried along explicitly; there is no global.
///
/// # Examples
///
/// ```
/// use dextape::boundary::{Rule, Rules};
///
/// assert!(Rules::all().on(Rule::A2));
/// assert_eq!("f11".parse(), Ok(Rule::F11));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rules {
    off: u128,
}

impl Rules {
    /// All rules: what the kernel does.
    #[must_use]
    pub const fn all() -> Self {
        Self { off: 0 }
    }

    /// All rules but `rule`: where it would decide, what a plausible imitation would do happens
    /// instead. For tests, which must notice.
    #[doc(hidden)]
    #[must_use]
    pub const fn without(self, rule: Rule) -> Self {
        Self { off: self.off | rule.bit() }
    }

    /// True where `rule` is in force.
    #[must_use]
    pub const fn on(self, rule: Rule) -> bool {
        self.off & rule.bit() == 0
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::all()
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let off: Vec<_> = Rule::ALL.iter().filter(|rule| !self.on(**rule)).collect();
        if off.is_empty() { f.write_str("Rules(all)") } else { write!(f, "Rules(without {off:?})") }
    }
}

/// Where a rule is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleTest {
    /// The rule.
    pub rule: Rule,
    /// The file of its test, from the root of the workspace.
    pub file: &'static str,
}

impl RuleTest {
    /// Name of the trial that keeps the rule; `<name>::switched_off` is the one that breaks it.
    #[must_use]
    pub fn trial(&self) -> String {
        format!("rule::{}", self.rule)
    }
}

/// Every rule with the place of its test, in order of number.
///
/// # Examples
///
/// ```
/// use dextape::boundary::{Rule, tests_by_rule};
///
/// let test = tests_by_rule().find(|test| test.rule == Rule::A5).unwrap();
/// assert_eq!(test.file, "harness/tests/rules/a.rs");
/// assert_eq!(test.trial(), "rule::A5");
/// ```
pub fn tests_by_rule() -> impl Iterator<Item = RuleTest> {
    Rule::ALL.iter().map(|rule| {
        let file = match rule.number().as_bytes()[0] {
            b'A' => "harness/tests/rules/a.rs",
            b'B' => "harness/tests/rules/b.rs",
            b'C' => "harness/tests/rules/c.rs",
            b'D' => "harness/tests/rules/d.rs",
            b'E' => "harness/tests/rules/e.rs",
            b'F' if *rule < Rule::F15 => "harness/tests/rules/f.rs",
            b'F' => "harness/tests/rules/f_unmap.rs",
            b'G' => "harness/tests/rules/g.rs",
            b'H' => "harness/tests/rules/h.rs",
            _ => "harness/tests/rules/k.rs",
        };
        RuleTest { rule: *rule, file }
    })
}
