//! Clients that are not the same twice, one for each source: each is run in two processes, as a program is.

use dextape::connection::{Connection, ConnectionExt, System};
use dextape::tape::Tape;
use dextape_lab::{Parting, Source, parting};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use dextape_scenarios::{Parameters, Time, open, registry, run_on_mock};
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the child records, which client, and the how-manieth run it is.
const PLANTED: &str = "DEXTAPE_TEST_PLANTED";

/// The second selector gives a structure back that was handed in, a little changed.
fn tell(connection: &dyn Connection, words: [u64; 2]) {
    connection.call(1).input(&words).output_bytes(&mut [0; 16]).unwrap();
}

fn client(source: &str, run: &str, system: &Arc<dyn System>) {
    let connection: Arc<dyn Connection> = Arc::from(open(system, "NullDriver").unwrap());
    tell(&*connection, [1, 2]);
    match source {
        "nothing" => {}
        "time" => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            tell(&*connection, [7, now.as_nanos() as u64]);
        }
        "address" => {
            let thing = Box::new([0_u8; 64]);
            tell(&*connection, [thing.as_ptr().addr() as u64, 7]);
        }
        "hash" => {
            let things: HashMap<u64, u64> = (0..24).map(|it| (it, it * it)).collect();
            things.iter().for_each(|(key, value)| tell(&*connection, [*key, *value]));
        }
        // The race is lost by another one each time.
        _ => std::thread::scope(|scope| {
            for thread in ["0", "1"] {
                let connection = &connection;
                scope.spawn(move || {
                    if thread == run {
                        std::thread::sleep(Duration::from_millis(30));
                    }
                    tell(&**connection, [thread.parse().unwrap(), 9]);
                });
            }
        }),
    }
    let _closed = connection.close();
}

/// Not a test by itself: what the tests run as another process.
#[test]
fn planted() {
    let Ok(planted) = std::env::var(PLANTED) else { return };
    let [path, source, run] = planted.split('\n').collect::<Vec<_>>()[..] else {
        panic!("{planted}")
    };
    let path = Path::new(path);
    let journal = path.with_extension("journal");
    let session = RecordingSession::start(&journal, RecordOptions::default()).unwrap();
    let registry = registry();
    let scenario = registry.find("null-driver").unwrap();
    let mock = |time, wrap: &dyn Fn(Arc<dyn System>) -> Arc<dyn System>| {
        // The scenario's own client finds nothing left to do.
        let mut parameters = Parameters::of(scenario);
        parameters.set("part", "sync").unwrap();
        run_on_mock(scenario, &parameters, time, wrap).unwrap();
    };
    let time = if source == "thread" { Time::Free } else { Time::Simulated { seed: 1 } };
    mock(time, &|system| {
        client(source, run, &session.wrap(Arc::clone(&system)));
        system
    });
    session.finish();
    seal(&journal, path, SealOptions::default()).unwrap();
}

fn parted(source: &str) -> Option<Parting> {
    let folder = tempfile::tempdir().unwrap();
    let tapes = ["0", "1"].map(|run| {
        let path = folder.path().join(format!("{run}.tape.jsonl"));
        let planted = format!("{}\n{source}\n{run}", path.display());
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["planted", "--exact"])
            .env(PLANTED, planted)
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        Tape::read(&path).unwrap()
    });
    parting(&tapes[0], &tapes[1])
}

#[test]
fn a_client_that_is_the_same_twice_does_not_part() {
    assert_eq!(parted("nothing"), None);
}

#[test]
fn each_source_is_told_by_what_differs() {
    let expected = [
        ("time", Source::Time),
        ("address", Source::Address),
        ("hash", Source::HashOrder),
        ("thread", Source::Thread),
    ];
    for (planted, source) in expected {
        let parted = parted(planted).unwrap_or_else(|| panic!("{planted}: the runs are the same"));
        assert_eq!(parted.source, source, "{planted}: {parted}");
        // Matched, open and opened, and the first call: they are the same.
        assert!(parted.sequence > 4, "{planted}: {parted}");
    }
}
