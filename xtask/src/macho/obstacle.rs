//! What stands in the way of recording a program from inside, and how to go on.

use super::image::{Architecture, Program, Slice};
use super::signature::{Signature, flag};
use std::fmt;
use std::path::Path;

/// Entitlements that say what dyld and the kernel let a program do.
mod entitlement {
    pub(super) const DYLD_VARIABLES: &str =
        "com.apple.security.cs.allow-dyld-environment-variables";
    pub(super) const NO_LIBRARY_VALIDATION: &str =
        "com.apple.security.cs.disable-library-validation";
    pub(super) const SANDBOX: &str = "com.apple.security.app-sandbox";
}

/// Beginnings of entitlements that macOS believes only where a profile or Apple itself allows them.
const RESTRICTED: [&str; 4] = [
    "com.apple.developer.",
    "com.apple.private.",
    "com.apple.system-",
    "com.apple.application-identifier",
];

/// Where macOS keeps its own programs.
const PROTECTED: [&str; 4] = ["/System/", "/bin/", "/sbin/", "/usr/"];

/// The library that records, as its file is called.
const RECORDER: &str = "libdextape_interpose.dylib";

/// Which way a program can be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// The library is inserted into the program as it is.
    Inserted,
    /// The library is linked into it by whoever builds and signs it.
    LinkedIn,
    /// None.
    Neither,
}

impl Way {
    /// As it is called in results.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Inserted => "inserted",
            Self::LinkedIn => "linked in",
            Self::Neither => "neither",
        }
    }
}

/// What stands in the way, or is to be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// macOS protects the folder that it lies in.
    ProtectedPath(&'static str),
    /// It is a part of macOS.
    Platform,
    /// It runs as another user.
    ChangesUser,
    /// It asks for no variables of dyld.
    Restricted,
    /// The hardened runtime.
    HardenedRuntime,
    /// It loads libraries of its own team only.
    LibraryValidation(Option<String>),
    /// Entitlements that need a profile.
    RestrictedEntitlements(Vec<String>),
    /// It has entitlements that are not read here.
    UnreadEntitlements,
    /// Pointers are signed.
    Arm64e,
    /// Not signed at all, which no Mac with Apple silicon runs.
    Unsigned,
    /// It is for another platform than macOS.
    OtherPlatform(u32),
    /// A library, or a program without dyld.
    NoExecutable,
    /// For a processor that no Mac has.
    OtherProcessor,
    /// It may write to its own folders only.
    Sandboxed,
    /// It does not call IOKit itself.
    NoIoKit,
    /// The library is linked in already.
    LinkedInAlready,
}

impl Obstacle {
    /// True where the library cannot be inserted because of it.
    pub(crate) const fn bars_insertion(&self) -> bool {
        !matches!(
            self,
            Self::Unsigned
                | Self::Sandboxed
                | Self::NoIoKit
                | Self::LinkedInAlready
                | Self::UnreadEntitlements
        )
    }

    /// True where it cannot even be linked in.
    pub(crate) const fn bars_linking(&self) -> bool {
        matches!(
            self,
            Self::ProtectedPath(_)
                | Self::Platform
                | Self::Arm64e
                | Self::OtherPlatform(_)
                | Self::NoExecutable
                | Self::OtherProcessor
        )
    }

    /// How to go on.
    pub(crate) fn remedy(&self) -> String {
        let entitled =
            |name: &str| format!("sign it with the entitlement {name} for as long as you record");
        match self {
            Self::ProtectedPath(_) | Self::Platform => {
                "record a client of your own that does the same; a copy that is signed anew \
                 (`codesign --force --sign - COPY`) can be recorded, but has lost the entitlements \
                 that only Apple's signature gives"
                    .to_owned()
            }
            Self::ChangesUser => {
                "take the bits away from a copy (`chmod ug-s COPY`) and start that with sudo"
                    .to_owned()
            }
            Self::Restricted => {
                "sign it without the flag `restrict`, and link it without the section \
                 __RESTRICT,__restrict"
                    .to_owned()
            }
            Self::HardenedRuntime => format!(
                "{}, or sign a copy without it (`codesign --force --sign - COPY`)",
                entitled(entitlement::DYLD_VARIABLES)
            ),
            Self::LibraryValidation(Some(team)) => format!(
                "sign {RECORDER} as team {team}, too, or {}",
                entitled(entitlement::NO_LIBRARY_VALIDATION)
            ),
            Self::LibraryValidation(None) => entitled(entitlement::NO_LIBRARY_VALIDATION),
            Self::RestrictedEntitlements(_) => format!(
                "link {RECORDER} in and sign the whole with the same profile (dextape.h); a copy that is \
                 signed anew loses them, and the dext then refuses it"
            ),
            Self::UnreadEntitlements => {
                "`codesign --display --entitlements - --xml PROGRAM` shows them on a Mac".to_owned()
            }
            Self::Arm64e => "build it for arm64, or run its x86_64 part, if it has one \
                             (`arch -x86_64 PROGRAM`)"
                .to_owned(),
            Self::Unsigned => "`codesign --sign - PROGRAM`".to_owned(),
            Self::OtherPlatform(_) | Self::OtherProcessor => {
                "build it for macOS on x86_64 or arm64".to_owned()
            }
            Self::NoExecutable => "name the program that loads it".to_owned(),
            Self::Sandboxed => "let DEXTAPE_RECORD name a file in its container \
                 (~/Library/Containers/IDENTIFIER/Data)"
                .to_owned(),
            Self::NoIoKit => {
                "if it is Apple's framework that speaks to the dext, nothing of that is \
                              seen; libraries of the program's own are"
                    .to_owned()
            }
            Self::LinkedInAlready => "start and stop by the functions of dextape.h".to_owned(),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProtectedPath(folder) => {
                write!(f, "it lies in {folder}, which System Integrity Protection keeps")
            }
            Self::Platform => f.write_str("it is signed as a part of macOS"),
            Self::ChangesUser => {
                f.write_str("it has the setuid or setgid bit, so dyld takes no orders")
            }
            Self::Restricted => f.write_str("it asks dyld to take no orders (restrict)"),
            Self::HardenedRuntime => {
                f.write_str("it has the hardened runtime, under which dyld takes no orders")
            }
            Self::LibraryValidation(team) => {
                let team = team.as_deref().unwrap_or("no team");
                write!(f, "it loads only Apple's libraries and those of its own team ({team})")
            }
            Self::RestrictedEntitlements(names) => {
                write!(f, "it has entitlements that only a profile gives: {}", names.join(", "))
            }
            Self::UnreadEntitlements => {
                f.write_str("its entitlements are in DER only, and are not read")
            }
            Self::Arm64e => f.write_str(
                "its pointers are signed (arm64e), and no library of others is loaded there",
            ),
            Self::Unsigned => f.write_str("it is not signed: no Mac with Apple silicon runs it"),
            Self::OtherPlatform(0) => f.write_str("it is made for another system than macOS"),
            Self::OtherPlatform(number) => {
                write!(f, "it is made for another system than macOS (platform {number})")
            }
            Self::NoExecutable => f.write_str("it is no program that dyld starts"),
            Self::OtherProcessor => f.write_str("no Mac that has DriverKit runs it"),
            Self::Sandboxed => f.write_str("it is sandboxed, and may write a tape to few places"),
            Self::NoIoKit => f.write_str("it is not linked against IOKit itself"),
            Self::LinkedInAlready => write!(f, "{RECORDER} is linked in already"),
        }
    }
}

/// What stands in the way of one of the program's images, the hardest first.
pub(crate) fn obstacles(program: &Program, slice: &Slice) -> Vec<Obstacle> {
    let mut all = Vec::new();
    let mut add = |there: bool, obstacle: Obstacle| {
        if there {
            all.push(obstacle);
        }
    };
    add(matches!(slice.architecture, Architecture::Other(..)), Obstacle::OtherProcessor);
    if let Some(platform) = slice.other_platform {
        add(true, Obstacle::OtherPlatform(platform));
    }
    add(!slice.is_dynamic_executable, Obstacle::NoExecutable);
    if let Some(folder) = protected(&program.path) {
        add(true, Obstacle::ProtectedPath(folder));
    }
    add(slice.architecture == Architecture::Arm64e, Obstacle::Arm64e);
    add(program.changes_user, Obstacle::ChangesUser);
    let none = Signature::default();
    let signature = slice.signature.as_ref().unwrap_or(&none);
    add(signature.is_platform, Obstacle::Platform);
    add(slice.has_restrict_section || signature.has(flag::RESTRICT), Obstacle::Restricted);
    let is_hardened = signature.has(flag::RUNTIME);
    let takes_orders = signature.is_entitled(entitlement::DYLD_VARIABLES);
    add(is_hardened && !takes_orders, Obstacle::HardenedRuntime);
    let validates = is_hardened || signature.has(flag::REQUIRE_LIBRARY_VALIDATION);
    let is_off = signature.is_entitled(entitlement::NO_LIBRARY_VALIDATION);
    add(validates && !is_off, Obstacle::LibraryValidation(signature.team.clone()));
    let restricted: Vec<String> = signature
        .entitlements
        .keys()
        .filter(|name| RESTRICTED.iter().any(|beginning| name.starts_with(beginning)))
        .cloned()
        .collect();
    add(!restricted.is_empty(), Obstacle::RestrictedEntitlements(restricted));
    add(signature.has_other_entitlements, Obstacle::UnreadEntitlements);
    add(slice.signature.is_none(), Obstacle::Unsigned);
    add(signature.is_entitled(entitlement::SANDBOX), Obstacle::Sandboxed);
    add(!slice.links("IOKit"), Obstacle::NoIoKit);
    add(slice.links(RECORDER), Obstacle::LinkedInAlready);
    all
}

/// The protected folder that the program lies in. What others install lies in `/usr/local`.
fn protected(path: &Path) -> Option<&'static str> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let text = path.to_string_lossy();
    let local = text.starts_with("/usr/local/");
    PROTECTED.into_iter().find(|folder| text.starts_with(folder) && !local)
}

/// The way that these obstacles leave.
pub(crate) fn way(obstacles: &[Obstacle]) -> Way {
    if obstacles.iter().any(Obstacle::bars_linking) {
        Way::Neither
    } else if obstacles.iter().any(Obstacle::bars_insertion)
        || obstacles.contains(&Obstacle::LinkedInAlready)
    {
        Way::LinkedIn
    } else {
        Way::Inserted
    }
}
