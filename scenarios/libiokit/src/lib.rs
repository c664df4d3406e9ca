//! `libIOKit.so`: the IOKit C functions of [`dextape_cabi`], answered by a mock, a tape or a plug-in, with
//! or without a recorder before it.
//!
//! What answers is said in the environment of the program:
//!
//! | variable | what it says |
//! |---|---|
//! | `DEXTAPE_SCENARIO` | name of the scenario whose mock answers |
//! | `DEXTAPE_PARAMETERS` | its parameters, `name=value` with commas between |
//! | `DEXTAPE_SLOWER` | how many times slower than real time the mock's time passes: 1 unless set |
//! | `DEXTAPE_TAPE` | the tape that is replayed instead |
//! | `DEXTAPE_PATIENCE` | seconds without any progress after which a replayed client that waits without a timeout, or for its turn, diverges; 10 by default |
//! | `DEXTAPE_POLICY` | order that the replayed client has to keep; the tape's own by default |
//! | `DEXTAPE_ON_DIVERGENCE` | code that a diverging client gets instead of its end with exit code 101 |
//! | `DEXTAPE_STRICT` | `1`: a program exits with 102 where its replay leaves events of the tape unused, or cannot be begun |
//! | `DEXTAPE_PLUGIN` | the library whose dext answers instead |
//! | `DEXTAPE_RECORD` | the tape that is recorded, whatever answers |
//! | `DEXTAPE_RING` | how much the recording keeps, such as `64MiB`, `10min` or `64MiB,10min`: the beginnings of connections and the newest events |
//! | `DEXTAPE_TRIGGER` | what has a tape cut while the recording goes on, such as `result:Timeout,signal:SIGUSR1` (`dextape_recorder::flight::Triggers`) |
//! | `DEXTAPE_ANNOTATIONS` | a protocol description (`dextape::protocol`): which fields of calls are the client's handles or pointers, or differ from run to run; what pointers lead to is recorded, and replayed |
//! | `DEXTAPE_REDACT` | a redaction policy (`dextape::redaction`): what stands at its places is replaced before it reaches the disk |
//! | `DEXTAPE_LEAKS` | what is said at exit of rights that are left: `no`, `yes` (the default), or `all` for objects, too |
//!
//! # A library with scenarios of one's own
//!
//! A crate of type `cdylib` with this one as dependency (without its default features) and three lines:
//!
//! ```ignore
//! IOKit::serve!(|| dextape_scenarios::registry().with(my::Scenario));
//! ```

#![allow(non_snake_case, reason = "the library is called libIOKit.so")]

#[cfg(target_os = "linux")]
mod control;
#[cfg(target_os = "linux")]
mod environment;
#[cfg(target_os = "linux")]
pub mod probe;
#[cfg(target_os = "linux")]
mod served;

#[cfg(target_os = "linux")]
pub use dextape_cabi::{Backend, StartError, install, install_default};
#[cfg(target_os = "linux")]
pub use environment::Environment;
#[cfg(target_os = "linux")]
pub use served::start;

/// Has the library that says this serve the scenarios of a registry: an expression that can be
/// converted to `fn() -> dextape_scenarios::Registry`.
#[cfg(target_os = "linux")]
#[macro_export]
macro_rules! serve {
    ($registry:expr) => {
        $crate::serve!($registry, install);
    };
    ($registry:expr, $install:ident) => {
        const _: () = {
            fn start() -> Result<Box<dyn $crate::Backend>, $crate::StartError> {
                $crate::start($registry)
            }

            extern "C" fn install() {
                $crate::$install(start);
            }

            // SAFETY: the loader calls each function of this section once before `main`; arguments that
            // it passes and the function does not take are no harm.
            #[unsafe(link_section = ".init_array")]
            #[used]
            static INSTALL: extern "C" fn() = install;
        };
    };
}

/// Nothing to serve: a Mac has IOKit.
#[cfg(not(target_os = "linux"))]
#[macro_export]
macro_rules! serve {
    ($registry:expr) => {};
}

#[cfg(all(target_os = "linux", feature = "ours"))]
serve!(|| dextape_scenarios::registry().with(probe::BoundaryProbe), install_default);
