//! Who waits for whom (group K).

use super::{Rule, Rules};

/// How an operation holds the lock of its connection (K1, K2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Together with other methods.
    Shared,
    /// Alone.
    Exclusive,
    /// Not at all.
    None,
}

/// What a client asks of a connection, as far as the lock goes by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockedOperation {
    /// An external method, synchronous or not.
    Method,
    /// `IOConnectMapMemory64`.
    Map,
    /// `IOConnectUnmapMemory64`.
    Unmap,
    /// `IOConnectAddClient`.
    AddClient,
    /// `IOConnectSetNotificationPort`.
    SetNotificationPort,
    /// `IOServiceClose`.
    Close,
    /// `IOConnectGetService`.
    GetService,
    /// `IOConnectTrap0` to `6`.
    Trap,
}

/// What the kernel locks of itself, by three properties of the user client (K1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locking {
    /// Methods, maps and the like take the lock of their connection.
    pub default_locking: bool,
    /// Methods take it alone.
    pub single_thread_external_method: bool,
}

impl Locking {
    /// Property that says whether there is default locking.
    pub const DEFAULT: &'static str = "IOUserClientDefaultLocking";
    /// Property that says whether the setting of properties is locked.
    pub const SET_PROPERTIES: &'static str = "IOUserClientDefaultLockingSetProperties";
    /// Property that says whether methods run one at a time.
    pub const SINGLE_THREAD: &'static str = "IOUserClientDefaultLockingSingleThreadExternalMethod";

    /// What a user client has without any of the properties: the lock, shared by its methods.
    pub const UNTOLD: Self = Self { default_locking: true, single_thread_external_method: false };

    /// What a kext's has: nothing but a close locks.
    pub const UNTOLD_IN_KERNEL: Self =
        Self { default_locking: false, single_thread_external_method: false };

    /// True for one of the three.
    #[must_use]
    pub fn is_property(name: &str) -> bool {
        [Self::DEFAULT, Self::SET_PROPERTIES, Self::SINGLE_THREAD].contains(&name)
    }

    /// What a user client has. `property` gives the truth of a property, `None` where the user client
    /// does not have it. With one of the three the others are false unless they are true, too (K1).
    #[must_use]
    pub fn of_properties(rules: Rules, property: impl Fn(&str) -> Option<bool>) -> Self {
        let properties = [Self::DEFAULT, Self::SET_PROPERTIES, Self::SINGLE_THREAD];
        let told = properties.iter().any(|name| property(name).is_some());
        // Naively the properties are no concern of the kernel.
        if !told || !rules.on(Rule::K1) {
            return Self::UNTOLD;
        }
        Self {
            default_locking: property(Self::DEFAULT) == Some(true),
            single_thread_external_method: property(Self::SINGLE_THREAD) == Some(true),
        }
    }

    /// How an operation holds the lock of its connection (K1).
    #[must_use]
    pub fn hold(self, rules: Rules, operation: LockedOperation) -> Hold {
        use LockedOperation as Op;
        // Noted where somebody has to wait.
        if !rules.holds(Rule::K2) {
            return Hold::None;
        }
        match operation {
            Op::GetService | Op::Trap => Hold::None,
            Op::Close | Op::SetNotificationPort => Hold::Exclusive,
            _ if !self.default_locking => Hold::None,
            Op::Method if !self.single_thread_external_method => Hold::Shared,
            Op::Method | Op::Map | Op::Unmap | Op::AddClient => Hold::Exclusive,
        }
    }
}

/// True where an upcall waits for its turn on the dext's queue (K3).
#[must_use]
pub fn waits_for_queue(rules: Rules) -> bool {
    rules.on(Rule::K3)
}

/// How a completion that the dext fires holds the lock of the connection: not at all (K4).
#[must_use]
pub fn completion_hold(rules: Rules) -> Hold {
    if rules.on(Rule::K4) { Hold::None } else { Hold::Shared }
}
