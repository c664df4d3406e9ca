//! Open, close, termination and death (groups G and H).

use super::{Rule, Rules};
use crate::IoReturn;

/// Whether an open reaches the dext (G1).
///
/// # Errors
///
/// `kIOReturnBadArgument` where the port is no service's.
pub fn open(rules: Rules, is_service: bool) -> Result<(), IoReturn> {
    match is_service {
        true => Ok(()),
        false if rules.on(Rule::G1) => Err(IoReturn::BAD_ARGUMENT),
        false => Err(IoReturn::NO_DEVICE),
    }
}

/// The type that the dext's `NewUserClient` sees (G9).
#[must_use]
pub fn open_type(rules: Rules, open_type: u32) -> u32 {
    // Naively a type is a small number.
    if rules.on(Rule::G9) { open_type } else { open_type & 0xffff }
}

/// The property `IOUserClientCreator` of a user client (G9).
#[must_use]
pub fn creator(process: u32, name: &str) -> String {
    format!("pid {process}, {name}")
}

/// What the client is told of an open: `made` is what `NewUserClient` gave, and on success whether
/// there is an object (G2, G3).
///
/// # Errors
///
/// The dext's own code, or `kIOReturnError` where it gave success without an object.
pub fn opened(rules: Rules, made: Result<bool, IoReturn>) -> Result<(), IoReturn> {
    match made {
        Ok(true) => Ok(()),
        Ok(false) if rules.on(Rule::G3) => Err(IoReturn::ERROR),
        Ok(false) => Err(IoReturn::UNSUPPORTED),
        Err(code) if rules.on(Rule::G2) => Err(code),
        Err(_) => Err(IoReturn::ERROR),
    }
}

/// A connection from open to the end of its last right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionState {
    rights: u32,
    terminated: bool,
    ever_mapped: bool,
}

/// What follows from a change of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "what follows has to be done"]
pub struct Consequence {
    /// The user client's teardown begins: the dext's `Stop` will be called.
    pub stop: bool,
    /// The connection's mappings end now.
    pub end_mappings: bool,
}

impl Default for ConnectionState {
    fn default() -> Self {
        Self::new()
    }
}

impl ConnectionState {
    /// A connection that was just opened: one right.
    #[must_use]
    pub const fn new() -> Self {
        Self { rights: 1, terminated: false, ever_mapped: false }
    }

    /// Send rights that the client holds.
    #[must_use]
    pub fn rights(&self) -> u32 {
        self.rights
    }

    /// True from termination on.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.terminated
    }

    /// Whether a call, a map or an unmap reaches the dext.
    ///
    /// # Errors
    ///
    /// `MACH_SEND_INVALID_DEST` without a right (A15); of a terminated connection that too, or
    /// `kIOReturnBadArgument` if it ever mapped (H1).
    pub fn check(&self, rules: Rules) -> Result<(), IoReturn> {
        if self.rights == 0 {
            let a15 = rules.on(Rule::A15);
            return Err(if a15 {
                IoReturn::MACH_SEND_INVALID_DEST
            } else {
                IoReturn::BAD_ARGUMENT
            });
        }
        match (self.terminated, self.ever_mapped) {
            (false, _) => Ok(()),
            (true, _) if !rules.on(Rule::H1) => Err(IoReturn::NOT_ATTACHED),
            // What a driver would say.
            (true, _) if !rules.on(Rule::H6) => Err(IoReturn::NO_DEVICE),
            (true, false) => Err(IoReturn::MACH_SEND_INVALID_DEST),
            (true, true) => Err(IoReturn::BAD_ARGUMENT),
        }
    }

    /// A map succeeded; one that failed does not count (H1).
    pub fn mapped(&mut self) {
        self.ever_mapped = true;
    }

    /// Whether a trap reaches the kernel's object: it is no message, so a dead connection is a bad
    /// argument either way (G21, H1).
    ///
    /// # Errors
    ///
    /// `kIOReturnBadArgument`.
    pub fn check_trap(&self, rules: Rules) -> Result<(), IoReturn> {
        self.check(rules).map_err(|dead| super::other::dead_to_traps(rules, dead))
    }

    /// The client takes another right (`IOConnectAddRef`). It needs a name to a live port: that of a
    /// terminated connection is a dead name, but where the connection ever mapped (H1).
    ///
    /// # Errors
    ///
    /// `KERN_INVALID_NAME` without a right, `KERN_INVALID_RIGHT` for a dead name.
    pub fn add_ref(&mut self) -> Result<(), IoReturn> {
        if self.rights == 0 {
            return Err(IoReturn::KERN_INVALID_NAME);
        }
        if self.terminated && !self.ever_mapped {
            return Err(IoReturn::KERN_INVALID_RIGHT);
        }
        self.rights = self.rights.saturating_add(1);
        Ok(())
    }

    /// The client drops a right without a close (`IOConnectRelease`, end of the process): without
    /// rights the user client is torn down (G15).
    ///
    /// # Errors
    ///
    /// `KERN_INVALID_NAME` without a right.
    pub fn release(&mut self, rules: Rules) -> Result<Consequence, IoReturn> {
        if self.rights == 0 {
            return Err(IoReturn::KERN_INVALID_NAME);
        }
        self.rights -= 1;
        if self.rights > 0 {
            return Ok(Consequence::default());
        }
        // Naively only a close is a close.
        let stop = !self.terminated && rules.on(Rule::G15) && self.end();
        Ok(Consequence { stop, end_mappings: !self.ever_mapped || rules.on(Rule::F23) })
    }

    /// `IOServiceClose`: its result, and what follows (G12, G13, H2, F23, F24).
    pub fn close(&mut self, rules: Rules) -> (IoReturn, Consequence) {
        if self.rights == 0 {
            let refused = self.check(rules).err().unwrap_or(IoReturn::SUCCESS);
            return (refused, Consequence::default());
        }
        let result = self.close_result(rules);
        let mut consequence = Consequence::default();
        if !self.terminated && rules.on(Rule::G13) {
            consequence.stop = self.end();
        }
        if super::library::rights_dropped_by_close(rules, result) > 0 {
            let last = self.release(rules).unwrap_or_default();
            consequence.stop |= last.stop;
            consequence.end_mappings |= last.end_mappings;
        }
        consequence.end_mappings |= self.rights > 0 && !rules.on(Rule::F24);
        (result, consequence)
    }

    fn close_result(&self, rules: Rules) -> IoReturn {
        match (self.terminated, self.ever_mapped) {
            (true, false) if rules.on(Rule::H2) => IoReturn::MACH_SEND_INVALID_DEST,
            (true, true) => {
                rules.note(Rule::H2);
                IoReturn::SUCCESS
            }
            _ => IoReturn::SUCCESS,
        }
    }

    /// The user client is terminated from the other side: its provider was removed, the dext
    /// terminated it or died (H1, F25).
    pub fn terminate(&mut self, rules: Rules) -> Consequence {
        let stop = self.end();
        Consequence { stop, end_mappings: stop && self.ever_mapped && !rules.on(Rule::F25) }
    }

    /// True where this is the moment of termination.
    fn end(&mut self) -> bool {
        !std::mem::replace(&mut self.terminated, true)
    }
}
