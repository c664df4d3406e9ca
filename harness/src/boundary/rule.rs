//! The rules by their numbers.

use std::fmt;
use std::str::FromStr;

/// What a rule of the semantics reference rests on, by the letters of its status column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// V: read in Apple's published source.
    Verified,
    /// V+X: read there, and seen when Apple's own library and message stubs were run.
    Executed,
    /// D: from a header's comment, documentation, a sample, or a report from the field.
    Documented,
    /// I: inferred, since a part of the way goes through closed code.
    Inferred,
}

impl Evidence {
    /// The letters of the status column.
    #[must_use]
    pub const fn letters(self) -> &'static str {
        match self {
            Self::Verified => "V",
            Self::Executed => "V+X",
            Self::Documented => "D",
            Self::Inferred => "I",
        }
    }
}

macro_rules! evidence {
    (V) => {
        Evidence::Verified
    };
    (X) => {
        Evidence::Executed
    };
    (D) => {
        Evidence::Documented
    };
    (I) => {
        Evidence::Inferred
    };
}

macro_rules! rules {
    ($($name:ident $evidence:ident $says:literal;)*) => {
        /// A rule of the boundary, by its number in the semantics reference: all 150 of them.
        /// `docs/fidelity.md` says of each where it is tested, or why it is not.
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

            /// What it rests on.
            #[must_use]
            pub const fn evidence(self) -> Evidence {
                match self {
                    $(Self::$name => evidence!($evidence),)*
                }
            }
        }
    };
}

// Number, evidence (X for V+X) and what the rule says.
rules! {
    A1 V "The scalar and structure calls are the general call with the other half NULL and 0.";
    A2 X "More than 16 scalar inputs are refused by the library; nothing is sent.";
    A3 X "A NULL input with a count that would be copied faults before sending.";
    A4 X "A NULL output count is a count of 0; its buffer is never touched.";
    A5 X "A scalar output count over 16 is clamped to 16 without an error.";
    A6 X "A NULL output with a count faults after the call, when the reply is copied.";
    A7 X "An input of count 0 is no input, wherever its pointer points.";
    A8 X "A structure input up to 4096 bytes is copied into the message.";
    A9 X "A structure input over 4096 bytes is sent as address and size.";
    A10 X "A NULL structure input over 4096 bytes is no error and no input.";
    A11 X "A structure output up to 4096 bytes is in-line, above that out of line.";
    A12 X "A NULL structure output over 4096 bytes is no error; its size comes back as 32 bits.";
    A13 X "An out-of-line output of 4 GiB or more is refused before the dext is called.";
    A14 V "A size of -3 asks for variable output, which is emptied on failure.";
    A15 D "A null, dead or unknown connection name is an invalid destination.";
    A16 X "A port of another kind is a bad argument.";
    A17 X "A failed call leaves counts and in-line outputs as they were.";
    A18 V "The client's counts are checked first, then the connection, then what is the kernel's.";
    B1 V "The selector is zero-extended and not range-checked; the arguments have version 2.";
    B2 X "The dext sees min(asked, 16) scalar outputs, all zero.";
    B3 X "A structure input up to 4096 bytes is an OSData of exactly that length.";
    B4 X "A structure input over 4096 bytes is a descriptor of exactly that length.";
    B5 V "An input descriptor is read-only and a snapshot taken at its first mapping.";
    B6 I "A bad out-of-line pointer is found when the dext maps it, not by the call.";
    B7 X "The maximum of structure output is what the client asked for.";
    B8 V "What the dext writes through an output descriptor stays, even when the call fails.";
    B9 V "There is a completion if and only if an asynchronous call has a wake port.";
    B10 D "Inputs and descriptors are released after the method unless the dext retained them.";
    B11 I "The scalar input is a pointer even where its count is 0.";
    C1 X "A shorter structure output is copied with its own length; the rest is untouched.";
    C2 X "A structure output over the maximum makes the call fail; nothing is copied.";
    C3 X "A structure output that was never set comes back as zero bytes of the size asked for.";
    C4 X "The size of an out-of-line output always comes back as asked for.";
    C5 X "Structure output beside an output descriptor must be empty.";
    C6 V "Variable output may have any length but must be set.";
    C7 X "The scalar count returned is the smaller of asked and written.";
    C8 I "Scalar outputs that the dext leaves alone come back as zeros.";
    C9 V "The result of the method is passed through as 32 bits.";
    C10 V "A reply that cannot be decoded has a code for each kind of damage.";
    D1 V "More than 8 references are refused by the library.";
    D2 V "A NULL reference with count 0 is one zero entry.";
    D3 V "A reference with count 0 is refused by the kernel.";
    D4 V "A NULL reference with a count faults before sending.";
    D5 I "The wake port must be a receive right of the caller.";
    D6 V "A call without a wake port is delivered without a completion.";
    D7 V "The first reference comes back as 0.";
    D8 V "The other references come back verbatim, missing ones as 0.";
    D9 V "The callback function is reference 1 and its context reference 2.";
    D10 V "An asynchronous call returns its result and outputs at once.";
    D11 V "A retained completion may be fired any number of times.";
    D12 V "A completion that is not retained is gone when the method returns.";
    D13 V "A completion of more than 16 arguments is dropped.";
    D14 V "A completion's status is delivered verbatim.";
    D15 V "The message of a completion has fixed places, those of the arguments from byte 100 on.";
    D16 V "The callback is chosen by the number of arguments that the dext sent.";
    D17 I "Completions arrive in the order in which they were fired, also before the call returns.";
    D18 V "The port's own limit is ignored; from 65534 undelivered messages on others are dropped.";
    D19 V "A completion to a destroyed port is discarded.";
    D20 V "A completion of an aborted action is discarded.";
    D21 V "Completions are delivered after the connection was closed.";
    D22 V "A completion goes to whoever receives on its port, by whichever of the ways.";
    E1 D "A dispatch entry demands a completion, forbids it, or does not care.";
    E2 D "A dispatch entry demands scalar counts and the input size, or does not care.";
    E3 D "A dispatch entry demands the output size asked for, or does not care.";
    E4 D "A dispatch entry whose checks pass is called; without a function there is no completion.";
    E5 I "The function is looked at last.";
    E6 D "The framework has no table of selectors, so it refuses none as out of range.";
    E7 I "The base method without a dispatch entry is unsupported.";
    E8 V "A kext's dispatch entry has no completion check.";
    E9 V "A kext's dispatch array checks selector, counts, wake port, entitlement and function.";
    E10 V "A kext's old method table takes no out-of-line structure.";
    F1 V "Of the client's mapping options the low 12 bits count.";
    F2 V "The dext alone makes a mapping read-only.";
    F3 V "The direction of a descriptor does not make its mapping read-only.";
    F4 V "The dext is asked once a map and once an unmap; each answer costs it one reference.";
    F5 V "A map that fails gives a bad argument, whatever the dext said.";
    F6 V "A map with a NULL address or size faults before sending.";
    F7 V "A map or unmap without a task is a bad argument; the dext is not asked.";
    F8 V "A mapping anywhere ignores the address handed in.";
    F9 V "A mapping at a fixed address is rounded down to its page and needs free room.";
    F10 V "The size of a mapping is the descriptor's length; whole pages are accessible.";
    F11 V "The same descriptor mapped again is the same mapping.";
    F12 V "Another cache mode, protection or fixed address is a second mapping.";
    F13 V "A shorter length finds the old mapping, a longer one makes a new one.";
    F14 V "Two connections of a task share the mapping of a descriptor; each holds it.";
    F15 V "An unmap ignores its address and takes the oldest compatible mapping.";
    F16 V "Maps do not nest: one unmap undoes them all.";
    F17 V "An unmap of what another connection mapped succeeds without effect.";
    F18 V "An unmap passes the dext's error through.";
    F19 V "An unmap for which the dext answers no memory succeeds without effect.";
    F20 V "An unmap goes by the descriptor that the dext answers now.";
    F21 V "Without CopyClientMemoryForType a map is a bad argument and an unmap unsupported.";
    F22 V "The memory of a mapping outlives the dext that made it.";
    F23 V "The mappings of a connection are gone when its last right is.";
    F24 V "The mappings of a closed connection stay while another right is held.";
    F25 V "The mappings of a terminated connection stay until the last right is dropped.";
    F26 V "A mapping into another task is not the connection's.";
    F27 V "A forked child does not inherit mappings.";
    G1 V "An open of what is no service is a bad argument.";
    G2 V "An open passes the error of NewUserClient through.";
    G3 V "An open for which the dext makes no object is an error.";
    G4 V "An open for which the dext makes another kind of object is unsupported.";
    G5 V "An open needs an entitlement, of the client or of the dext.";
    G6 V "The entitlement is looked at after the user client was made, which is stopped then.";
    G7 V "A user client may ask for a further entitlement; an open without is not privileged.";
    G8 V "An open during which the dext dies gives a dead server.";
    G9 V "The type of an open is passed through, and every open makes a new user client.";
    G10 I "An open of a dext that has no NewUserClient is unsupported.";
    G11 V "Create looks at its provider and at the property that describes the object.";
    G12 V "A close drops one right, whatever it returns.";
    G13 V "A close terminates the user client before it returns.";
    G14 I "Stop runs after the close, which does not wait for it.";
    G15 V "A user client is stopped exactly once, by close or by its last right.";
    G16 V "A connection takes no notification port.";
    G17 V "A connection takes no client, and only connections can be offered to it.";
    G18 V "A connection does not tell its service.";
    G19 V "A connection takes no properties, and those too large or unreadable are refused before.";
    G20 V "A trap beyond the reserved ones succeeds and does nothing.";
    G21 V "A trap on a bad port is a bad argument.";
    G22 V "A connection cannot be sent to another task.";
    H1 V "A terminated connection is an invalid destination, or a bad argument if it ever mapped.";
    H2 V "A close of a terminated connection succeeds if it ever mapped.";
    H3 V "Calls that are inside the dext at termination finish with their own result.";
    H4 V "Calls that are inside the dext when it dies give a dead server, but for a map.";
    H5 V "A dext that is dead but not torn down yet has codes of its own.";
    H6 V "Codes that the boundary never makes come from driver code only.";
    H7 V "Nothing times out.";
    H8 V "The refusal of a sandbox filter is passed through; the dext is not called.";
    H9 V "At a removal Stop is one-way; else the teardown waits until it reaches its base.";
    I1 V "The directions of a descriptor are two bits.";
    I2 V "A buffer cannot have other options, nothing in it, or more than there is.";
    I3 V "A buffer is zeroed and at least a page.";
    I4 V "A new buffer is as long as its capacity.";
    I5 V "A length beyond the capacity is ignored; a shorter one counts for later mappings.";
    I6 D "The length of a descriptor is its current one, as is that of its address range.";
    I7 V "A mapping with an unknown cache mode is a bad argument.";
    I8 V "A mapping outside its descriptor, of nothing or where there is no room is an error.";
    I9 V "A mapping of length 0 is the whole; the address counts only where it is fixed.";
    I10 V "A mapping in the dext is read-only by option or direction, but not of its own buffer.";
    I11 V "Equal mappings in one process are the same mapping.";
    I12 V "A part of a descriptor must lie within it.";
    I13 V "Descriptors are joined, up to 32 of them.";
    I14 V "Memory of the client is described by up to 32 segments, while the user client runs.";
    I15 V "Parts, joined descriptors and client memory exist since DriverKit 20.";
    J1 V "An error is made of system, subsystem and code; IOKit's system is 0x38.";
    J2 V "A result is a signed number of 32 bits, compared as unsigned.";
    K1 V "Methods share the lock of their connection; map, unmap and close take it alone.";
    K2 V "Map, unmap and close of a connection wait for its running methods.";
    K3 V "The methods of one connection run one at a time on the dext's queue.";
    K4 V "A completion can be fired from any thread and takes no lock of the connection.";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.number())
    }
}

/// A number that is none of a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("find rule {0:?}: it is none of the numbers of the semantics reference")]
pub struct UnknownRule(String);

impl FromStr for Rule {
    type Err = UnknownRule;

    fn from_str(number: &str) -> Result<Self, UnknownRule> {
        let found = Self::ALL.iter().find(|rule| rule.number().eq_ignore_ascii_case(number));
        found.copied().ok_or_else(|| UnknownRule(number.chars().take(16).collect()))
    }
}
