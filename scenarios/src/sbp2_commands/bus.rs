//! The bus as the dext keeps it: generations, sessions, commands under way, and the block of status.

use super::abi::{DISK_NODE, StatusBlock, login, reason};
use super::disk::{Answer, Disk};
use crate::dext::lock;
use bytemuck::Zeroable;
use dextape::IoReturn;
use dextape::driverkit::{self, BufferMemoryDescriptor, Direction, DispatchQueue, OsSharedPtr};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// What becomes of the commands that are under way when the bus is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// They fail with `kIOReturnAborted`.
    Told,
    /// They have no result, for ever.
    Silent,
}

/// What the disk does that was told to eject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// It stays on the bus.
    Stays,
    /// It leaves the bus, and the command is never answered.
    Leaves,
}

/// How long a login takes, and logging in again after a reset.
const LOGIN: Duration = Duration::from_millis(5);
const RECONNECT: Duration = Duration::from_millis(20);

/// How long the nodes take to name themselves after a reset.
const SELF_ID: Duration = Duration::from_millis(2);

/// After how long a disk leaves that does.
const LEAVING: Duration = Duration::from_millis(10);

/// States of the controller, by the name in the status.
const RUNNING: (u32, &str) = (4, "Running");
const SELF_NAMING: (u32, &str) = (3, "WaitingSelfID");

/// The bus.
#[derive(Debug)]
pub(super) struct Bus {
    lost: Lost,
    target: Target,
    queue: OsSharedPtr<DispatchQueue>,
    status: OsSharedPtr<BufferMemoryDescriptor>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    block: StatusBlock,
    disk: Disk,
    disk_present: bool,
    resetting: bool,
    /// The handle that was given out last.
    handles: u64,
    sessions: BTreeMap<u64, Session>,
    commands: BTreeMap<u64, Command>,
}

#[derive(Debug)]
struct Session {
    owner: u64,
    state: u64,
    last_error: IoReturn,
}

#[derive(Debug)]
struct Command {
    owner: u64,
    session: u64,
    /// There once it is over.
    outcome: Option<Outcome>,
}

/// How a command went.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) transport: IoReturn,
    pub(super) data: Vec<u8>,
    pub(super) sense: Vec<u8>,
}

impl Outcome {
    fn failed(transport: IoReturn) -> Self {
        Self { transport, data: Vec::new(), sense: Vec::new() }
    }
}

/// A command as it was submitted.
pub(super) struct Submission<'a> {
    pub(super) session: u64,
    pub(super) generation: u64,
    pub(super) cdb: &'a [u8],
    pub(super) outgoing: &'a [u8],
    pub(super) transfer_length: u32,
    pub(super) timeout: Duration,
    pub(super) sense: bool,
}

/// A session as the client sees it.
pub(super) struct SessionState {
    pub(super) state: u64,
    pub(super) generation: u32,
    pub(super) last_error: IoReturn,
}

impl Bus {
    /// A bus with this machine and the disk.
    pub(super) fn new(lost: Lost, target: Target) -> Result<Arc<Self>, IoReturn> {
        let queue = OsSharedPtr::adopt(DispatchQueue::create("FireWireBus")?);
        let length = size_of::<StatusBlock>() as u64;
        let status = BufferMemoryDescriptor::create(Direction::IN_OUT, length, 0)?;
        let block = StatusBlock {
            version: 1,
            length: length as u32,
            flags: 1,
            generation: 1,
            nodes: 2,
            local_node: 1,
            root_node: 1,
            ..StatusBlock::zeroed()
        };
        let state = State {
            block,
            disk: Disk::new(),
            disk_present: true,
            resetting: false,
            handles: 0,
            sessions: BTreeMap::new(),
            commands: BTreeMap::new(),
        };
        let status = OsSharedPtr::adopt(status);
        let bus = Arc::new(Self { lost, target, queue, status, state: Mutex::new(state) });
        let mut state = lock(&bus.state);
        bus.begin_change(&mut state, reason::BOOT, RUNNING);
        bus.end_change(&mut state);
        drop(state);
        Ok(bus)
    }

    /// The memory of the status.
    pub(super) fn status(&self) -> &OsSharedPtr<BufferMemoryDescriptor> {
        &self.status
    }

    /// Has `work` done after some time, on the bus's queue, if there still is a bus.
    fn later(self: &Arc<Self>, delay: Duration, work: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let bus: Weak<Self> = Arc::downgrade(self);
        self.queue.dispatch_after(delay, move || {
            if let Some(bus) = bus.upgrade() {
                work(&bus);
            }
        });
    }

    /// Shows all but the fields that name the nodes, with an odd sequence: what is read now is neither
    /// old nor new.
    fn begin_change(&self, state: &mut State, reason: u32, (number, name): (u32, &str)) {
        let block = &mut state.block;
        block.sequence += 1;
        block.timestamp = driverkit::uptime().as_nanos() as u64;
        (block.reason, block.state) = (reason, number);
        block.state_name = [0; 32];
        block.state_name[..name.len()].copy_from_slice(name.as_bytes());
        self.show(block);
    }

    /// Shows everything, with an even sequence.
    fn end_change(&self, state: &mut State) {
        state.block.sequence += 1;
        self.show(&state.block);
    }

    fn show(&self, block: &StatusBlock) {
        let shown = self.status.address_range().write_struct(0, block);
        debug_assert!(shown.is_ok());
    }

    /// Counts a command in or out.
    fn count(&self, state: &mut State, timeouts: u32) {
        let pending = state.commands.values().filter(|command| command.outcome.is_none());
        state.block.pending = pending.count() as u32;
        state.block.timeouts += timeouts;
        // Not in the middle of a reset: that shows it at its end.
        if !state.resetting {
            self.begin_change(state, reason::COMMAND, RUNNING);
            self.end_change(state);
        }
    }

    pub(super) fn create_session(&self, owner: u64, node: u64) -> Result<u64, IoReturn> {
        let mut state = lock(&self.state);
        if node != DISK_NODE || !state.disk_present {
            return Err(IoReturn::NO_DEVICE);
        }
        let session = Session { owner, state: login::IDLE, last_error: IoReturn::SUCCESS };
        let handle = state.handle();
        state.sessions.insert(handle, session);
        Ok(handle)
    }

    pub(super) fn start_login(self: &Arc<Self>, owner: u64, handle: u64) -> Result<(), IoReturn> {
        lock(&self.state).session(owner, handle)?.state = login::LOGGING_IN;
        self.later(LOGIN, move |bus| lock(&bus.state).log_in(handle, login::LOGGING_IN));
        Ok(())
    }

    pub(super) fn session_state(&self, owner: u64, handle: u64) -> Result<SessionState, IoReturn> {
        let mut state = lock(&self.state);
        let generation = state.block.generation;
        let session = state.session(owner, handle)?;
        let (login, last_error) = (session.state, session.last_error);
        Ok(SessionState { state: login, generation, last_error })
    }

    pub(super) fn submit(
        self: &Arc<Self>,
        owner: u64,
        submission: &Submission<'_>,
    ) -> Result<u64, IoReturn> {
        let mut state = lock(&self.state);
        match state.session(owner, submission.session)?.state {
            login::LOGGED_IN => {}
            login::FAILED => return Err(IoReturn::NO_DEVICE),
            _ => return Err(IoReturn::NOT_READY),
        }
        if submission.generation != u64::from(state.block.generation) {
            return Err(IoReturn::ABORTED);
        }
        let mut answer = state.disk.command(submission.cdb, submission.outgoing);
        answer.data.truncate(submission.transfer_length as usize);
        let leaves = answer.ejected && self.target == Target::Leaves;
        let session = submission.session;
        let handle = state.handle();
        state.commands.insert(handle, Command { owner, session, outcome: None });
        self.count(&mut state, 0);
        drop(state);

        if leaves {
            self.later(LEAVING, Self::disk_leaves);
        } else {
            let sense = submission.sense;
            self.later(answer.takes, move |bus| bus.answered(handle, answer, sense));
        }
        self.later(submission.timeout, move |bus| {
            let failed = Outcome::failed(IoReturn::TIMEOUT);
            bus.over(handle, failed, 1);
        });
        Ok(handle)
    }

    fn answered(&self, handle: u64, answer: Answer, sense: bool) {
        let sense = if sense { answer.sense_data() } else { Vec::new() };
        let outcome = Outcome { transport: IoReturn::SUCCESS, data: answer.data, sense };
        self.over(handle, outcome, 0);
    }

    /// A command has an outcome, unless it had one before.
    fn over(&self, handle: u64, outcome: Outcome, timeouts: u32) {
        let mut state = lock(&self.state);
        match state.commands.get_mut(&handle) {
            Some(command) if command.outcome.is_none() => command.outcome = Some(outcome),
            _ => return,
        }
        self.count(&mut state, timeouts);
    }

    /// The outcome of a command that is over; it is kept until [`forget`](Self::forget).
    pub(super) fn outcome(&self, owner: u64, handle: u64) -> Result<Outcome, IoReturn> {
        let state = lock(&self.state);
        let command = state.commands.get(&handle).filter(|command| command.owner == owner);
        command.and_then(|command| command.outcome.clone()).ok_or(IoReturn::NOT_FOUND)
    }

    pub(super) fn forget(&self, handle: u64) {
        lock(&self.state).commands.remove(&handle);
    }

    pub(super) fn release_session(&self, owner: u64, handle: u64) -> Result<(), IoReturn> {
        let mut state = lock(&self.state);
        state.session(owner, handle)?;
        state.sessions.remove(&handle);
        state.commands.retain(|_, command| command.session != handle);
        self.count(&mut state, 0);
        Ok(())
    }

    /// Forgets what belongs to a connection that is gone.
    pub(super) fn release_owner(&self, owner: u64) {
        let mut state = lock(&self.state);
        state.sessions.retain(|_, session| session.owner != owner);
        state.commands.retain(|_, command| command.owner != owner);
    }

    fn disk_leaves(self: &Arc<Self>) {
        lock(&self.state).disk_present = false;
        self.reset();
    }

    /// Resets the bus: a generation ends, and with it whatever was under way.
    pub(super) fn reset(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        if std::mem::replace(&mut state.resetting, true) {
            return;
        }
        state.block.generation += 1;
        state.block.resets += 1;
        state.end_generation(self.lost);
        self.begin_change(&mut state, reason::BUS_RESET, SELF_NAMING);
        drop(state);
        self.later(SELF_ID, Self::nodes_have_named_themselves);
    }

    fn nodes_have_named_themselves(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        state.resetting = false;
        // The first reset is because somebody has plugged in a camera, which becomes the root.
        let nodes = 2 + u32::from(state.disk_present);
        let block = &mut state.block;
        (block.nodes, block.local_node, block.root_node) = (nodes, nodes - 2, nodes - 1);
        block.pending = 0;
        let (number, name) = RUNNING;
        block.state = number;
        block.state_name = [0; 32];
        block.state_name[..name.len()].copy_from_slice(name.as_bytes());
        self.end_change(&mut state);
        let sessions: Vec<_> = state.sessions.keys().copied().collect();
        drop(state);
        self.later(RECONNECT, move |bus| {
            let mut state = lock(&bus.state);
            for handle in sessions {
                state.log_in(handle, login::RECONNECTING);
            }
        });
    }
}

impl State {
    fn handle(&mut self) -> u64 {
        self.handles += 1;
        self.handles
    }

    fn session(&mut self, owner: u64, handle: u64) -> Result<&mut Session, IoReturn> {
        let session = self.sessions.get_mut(&handle).filter(|session| session.owner == owner);
        session.ok_or(IoReturn::NOT_FOUND)
    }

    /// A session that is still in the state `from` has logged in, where there is a disk.
    fn log_in(&mut self, handle: u64, from: u64) {
        let present = self.disk_present;
        let Some(session) = self.sessions.get_mut(&handle) else { return };
        if session.state == from {
            (session.state, session.last_error) = match present {
                true => (login::LOGGED_IN, IoReturn::SUCCESS),
                false => (login::FAILED, IoReturn::NO_DEVICE),
            };
        }
    }

    fn end_generation(&mut self, lost: Lost) {
        for session in self.sessions.values_mut() {
            if session.state == login::LOGGED_IN {
                session.state = login::RECONNECTING;
            }
        }
        if lost == Lost::Silent {
            self.commands.retain(|_, command| command.outcome.is_some());
        }
        for command in self.commands.values_mut() {
            command.outcome.get_or_insert_with(|| Outcome::failed(IoReturn::ABORTED));
        }
    }
}
