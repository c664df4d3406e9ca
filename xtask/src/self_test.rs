//! A recording from beginning to end, of services that every Mac has: on a Mac of its own, elsewhere of
//! mocks of them.

use crate::exit::Failure;
use dextape::IoReturn;
use dextape::connection::{ConnectionExt, Matching, System};
use dextape::driverkit::{Service, UserClient};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::replay::{ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::Tape;
use dextape_recorder::iokit::{IoKitSystem, LiveError};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use dextape_scenarios::smc::{Dump, SmcService};
use std::fmt;
use std::sync::Arc;

/// What every Mac has: the machine itself, and its SMC.
const MACHINE: &str = "IOPlatformExpertDevice";
const SMC: &str = "AppleSMC";

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SelfTest {
    /// It was a Mac's own services.
    pub(crate) on_mac: bool,
    /// What the build lacks to reach them on a Mac.
    lacks_live: bool,
    /// Events of the tape.
    pub(crate) events: usize,
    /// Operations that were replayed.
    pub(crate) operations: u64,
}

impl fmt::Display for SelfTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, operations, .. } = self;
        let of = match (self.on_mac, self.lacks_live) {
            (true, _) => "services of this Mac",
            (false, true) => {
                "mocks of a Mac's services, because this build has no real system \
                 (`cargo xtask-live doctor` has)"
            }
            (false, false) => "mocks of a Mac's services, because this is no Mac",
        };
        write!(
            f,
            "self-test: recorded {of}: {events} events, valid, and {operations} replayed alike"
        )
    }
}

/// Records, seals, validates and replays, and compares what was seen both times.
///
/// # Errors
///
/// What did not work.
pub(crate) fn self_test() -> Result<SelfTest, Failure> {
    let live = match IoKitSystem::open() {
        Ok(system) => Some(system),
        Err(LiveError::NotBuilt | LiveError::NotMacos) => None,
        Err(error) => return Err(Failure::environment(error)),
    };
    let folder = tempfile::tempdir().map_err(Failure::environment)?;
    let (journal, path) =
        (folder.path().join("doctor.journal"), folder.path().join("doctor.tape.jsonl"));
    let mut options = RecordOptions::default();
    if let Some(system) = &live {
        (options.host, options.page_size) = (system.host(), system.page_size());
    }
    let on_mac = live.is_some();
    let system: Arc<dyn System> = match live {
        Some(system) => system,
        None => mocks().map_err(|code| Failure::environment(format!("publish mocks: {code}")))?,
    };
    let session = RecordingSession::start(&journal, options).map_err(Failure::environment)?;
    let seen = look(&*session.wrap(system));
    session.finish();
    seal(&journal, &path, SealOptions::default()).map_err(Failure::environment)?;
    let tape = Tape::read(&path).map_err(|error| Failure::tape(&error))?;
    let validation = tape.validate();
    if !validation.is_valid() {
        return Err(Failure::Invalid(format!("validate the tape of the self-test: {validation}")));
    }
    let events = tape.events().len();
    let replayer = Replayer::new(Arc::new(tape), ReplayOptions::default())
        .map_err(|error| Failure::invalid(error).about("replay the self-test"))?;
    let again = look(&*replayer.system(&Schedule::free()));
    let report = replayer.finish().map_err(|error| Failure::invalid(error).about("self-test"))?;
    if again != seen {
        return Err(Failure::Invalid("replay the self-test: it saw something else".to_owned()));
    }
    let lacks_live = !on_mac && cfg!(target_os = "macos");
    Ok(SelfTest { on_mac, lacks_live, events, operations: report.operations })
}

/// What a client sees of the services; whether each works is not for it to judge.
fn look(system: &dyn System) -> Vec<String> {
    let mut seen = Vec::new();
    for class in [MACHINE, SMC] {
        let service = system.first_service(&Matching::service(class));
        seen.push(format!("{class}: {service:?}"));
        let Ok(service) = service else { continue };
        seen.push(format!("{:?}", system.property(service, "IOClass")));
        if class == SMC {
            seen.push(ask(system, service));
        }
    }
    seen
}

/// How many keys the SMC has, as bytes.
fn ask(system: &dyn System, service: dextape::call::ServiceId) -> String {
    let connection = match system.open(service, 0) {
        Ok(connection) => connection,
        Err(code) => return code.to_string(),
    };
    let mut request = [0_u8; 80];
    request[..4].copy_from_slice(&u32::from_be_bytes(*b"#KEY").to_le_bytes());
    (request[28], request[42]) = (4, 5);
    let mut reply = [0_u8; 80];
    let called = connection.call(2).input_bytes(&request).output_bytes(&mut reply);
    let code = called.map_or_else(|error| error.io_return(), |_| Some(IoReturn::SUCCESS));
    format!("{code:?} {reply:?} {}", connection.close())
}

/// Serves nobody: it is only to be found.
struct Machine;

impl Service for Machine {
    fn new_user_client(&self, _type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        Err(IoReturn::UNSUPPORTED)
    }
}

fn mocks() -> Result<Arc<dyn System>, IoReturn> {
    let mock = MockSystem::new(&Schedule::free());
    mock.publish(ServiceDescription::class(MACHINE), Arc::new(Machine))?;
    SmcService::publish(&Dump::small(), &mock)?;
    Ok(mock)
}
