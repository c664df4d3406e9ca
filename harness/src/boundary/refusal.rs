//! Opens that the system refuses (groups G and H5).

use super::Rule;
use crate::IoReturn;

/// Why the system, and not the dext, refuses an open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenRefusal {
    /// The client lacks the entitlement for the dext (G5).
    NotEntitled,
    /// The client lacks what the property `IOUserClientEntitlements` asks for (G7).
    NotPrivileged,
    /// `NewUserClient` gave success without an object (G3).
    NoObject,
    /// What `NewUserClient` made is no `IOUserUserClient` in the kernel (G4).
    WrongClass,
    /// The dext's process is gone, or going (H5).
    Offline,
}

/// How far an open comes that the system refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenReach {
    /// The dext is not asked.
    NotAsked,
    /// `NewUserClient` comes back with nothing.
    NothingMade,
    /// The dext makes the user client, which is started, terminated and stopped (G4, G6).
    MadeAndStopped,
}

impl OpenRefusal {
    /// Every one of them.
    pub const ALL: [Self; 5] =
        [Self::NotEntitled, Self::NotPrivileged, Self::NoObject, Self::WrongClass, Self::Offline];

    /// What the client is told (G3 to G7, H5).
    pub const fn code(self) -> IoReturn {
        match self {
            Self::NotEntitled => IoReturn::NOT_PERMITTED,
            Self::NotPrivileged => IoReturn::NOT_PRIVILEGED,
            Self::NoObject => IoReturn::ERROR,
            Self::WrongClass => IoReturn::UNSUPPORTED,
            Self::Offline => IoReturn::OFFLINE,
        }
    }

    /// The rule by which it is refused.
    #[must_use]
    pub const fn rule(self) -> Rule {
        match self {
            Self::NotEntitled => Rule::G5,
            Self::NotPrivileged => Rule::G7,
            Self::NoObject => Rule::G3,
            Self::WrongClass => Rule::G4,
            Self::Offline => Rule::H5,
        }
    }

    /// How far it comes: entitlements are looked at once `NewUserClient` has succeeded (G6).
    #[must_use]
    pub const fn reach(self) -> OpenReach {
        match self {
            Self::NotEntitled | Self::NotPrivileged | Self::WrongClass => OpenReach::MadeAndStopped,
            Self::NoObject => OpenReach::NothingMade,
            Self::Offline => OpenReach::NotAsked,
        }
    }
}
