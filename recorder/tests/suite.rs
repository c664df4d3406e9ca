//! Tapes of a test suite in every mode.

mod tapes_of_suite {
    use dextape::IoReturn;
    use dextape::connection::{ConnectionExt, Matching, System};
    use dextape::driverkit::{ExternalMethodArguments, Service, UserClient};
    use dextape::kernel::{MockSystem, ServiceDescription};
    use dextape::schedule::Schedule;
    use dextape::tape::Tape;
    use dextape_recorder::suite::{Mode, TapeFor, TapeForError};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Counts its calls over all connections, as a device with a state does.
    struct Driver(Arc<AtomicU64>);

    impl UserClient for Driver {
        fn external_method(&self, _: u64, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
            arguments.scalar_output[0] = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            IoReturn::SUCCESS
        }
    }

    impl Service for Driver {
        fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
            Ok(Some(Arc::new(Self(Arc::clone(&self.0)))))
        }
    }

    /// A device, and how often it was asked.
    fn device(
        asked: &Arc<AtomicU64>,
    ) -> impl Fn(&Schedule) -> Arc<dyn System> + Send + Sync + use<> {
        let asked = Arc::clone(asked);
        move |schedule| {
            let mock = MockSystem::new(schedule);
            let driver = Arc::new(Driver(Arc::clone(&asked)));
            mock.publish(ServiceDescription::class("Counter"), driver).unwrap();
            mock
        }
    }

    /// Opens so many connections and calls each once.
    fn client(system: &dyn System, connections: u64) -> Vec<u64> {
        let service = system.first_service(&Matching::service("Counter")).unwrap();
        let count = |_| {
            let connection = system.open(service, 0).unwrap();
            let counted = connection.call(0).want_scalars(1).send().unwrap().scalars[0];
            assert_eq!(connection.close(), IoReturn::SUCCESS);
            counted
        };
        (0..connections).map(count).collect()
    }

    /// Runs it, and tells what it counted and whether it was recorded.
    fn run(tape: &Path, mode: Mode, asked: &Arc<AtomicU64>, connections: u64) -> (Vec<u64>, bool) {
        let tape = TapeFor::new(tape).of_system(Some(1), device(asked)).mode(mode);
        let ran = tape.run(|system| client(&**system, connections)).unwrap();
        (ran.result, ran.is_recorded)
    }

    #[test]
    fn each_mode_plays_and_records_what_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/counts.tape.jsonl");
        let asked = Arc::default();
        let missing = TapeFor::new(&path).mode(Mode::None).run(|_| ()).unwrap_err();
        assert!(matches!(missing, TapeForError::Missing(_)), "{missing}");
        assert_eq!(run(&path, Mode::Once, &asked, 2), (vec![1, 2], true));
        for mode in [Mode::None, Mode::Once, Mode::NewEpisodes] {
            assert_eq!(run(&path, mode, &asked, 2), (vec![1, 2], false), "{mode:?}");
        }
        // One connection more than the tape holds.
        for mode in [Mode::None, Mode::Once] {
            let diverged = catch_unwind(AssertUnwindSafe(|| run(&path, mode, &asked, 3)));
            let text = diverged.unwrap_err().downcast::<String>().unwrap();
            assert!(text.starts_with("replay diverged ("), "{mode:?}: {text}");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2, "nobody asked the device");
        assert_eq!(run(&path, Mode::NewEpisodes, &asked, 3), (vec![3, 4, 5], true));
        assert_eq!(run(&path, Mode::None, &asked, 3), (vec![3, 4, 5], false));
        assert_eq!(run(&path, Mode::All, &asked, 3), (vec![6, 7, 8], true));
        assert!(Tape::read(&path).unwrap().validate().is_valid());
        let left = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 2, "the tape and its lock");
    }

    #[test]
    fn a_client_that_panics_leaves_the_tape_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tape.jsonl");
        let asked = Arc::default();
        run(&path, Mode::Once, &asked, 1);
        let before = std::fs::read(&path).unwrap();
        let tape = TapeFor::new(&path).of_system(Some(1), device(&asked)).mode(Mode::All);
        let panicked = catch_unwind(AssertUnwindSafe(|| tape.run(|_| panic!("a check"))));
        assert!(panicked.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), before);
        // A failed check of the client is no reason to record.
        let tape = TapeFor::new(&path).of_system(Some(1), device(&asked)).mode(Mode::NewEpisodes);
        assert!(catch_unwind(AssertUnwindSafe(|| tape.run(|_| panic!("a check")))).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    /// The tape is recorded by one, and played to the others.
    #[test]
    fn tests_at_the_same_time_share_a_tape() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shared.tape.jsonl");
        let asked = Arc::default();
        let recorded: usize = std::thread::scope(|scope| {
            let runs: Vec<_> =
                (0..8).map(|_| scope.spawn(|| run(&path, Mode::Once, &asked, 2))).collect();
            let ran = runs.into_iter().map(|run| run.join().unwrap());
            ran.inspect(|(counted, _)| assert_eq!(counted, &[1, 2])).filter(|(_, it)| *it).count()
        });
        assert_eq!((recorded, asked.load(Ordering::Relaxed)), (1, 2));
    }

    #[test]
    fn a_tape_says_until_when_it_is_to_be_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.tape.jsonl");
        let source = device(&Arc::default());
        let tape = TapeFor::new(&path).of_system(Some(1), source).mode(Mode::Once);
        let tape = tape.expires("2001-12-31".parse().unwrap());
        tape.run(|system| client(&**system, 1)).unwrap();
        let read = Tape::read(&path).unwrap();
        let last = dextape_recorder::suite::expiry(read.header()).unwrap().unwrap();
        assert_eq!(last.to_string(), "2001-12-31");
        // It still plays.
        assert!(!tape.run(|system| client(&**system, 1)).unwrap().is_recorded);
    }

    /// Whether or not the tape is there: who asks for a device is told that there is none.
    #[test]
    #[cfg(not(all(target_os = "macos", feature = "live")))]
    fn without_a_device_no_mode_but_none_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tape.jsonl");
        run(&path, Mode::Once, &Arc::default(), 1);
        for mode in [Mode::Once, Mode::NewEpisodes, Mode::All] {
            let refused = TapeFor::new(&path).mode(mode).run(|_| ()).unwrap_err().to_string();
            assert!(
                refused.starts_with("record as DEXTAPE_MODE asks: reach a device: "),
                "{refused}"
            );
            assert!(
                refused.ends_with("or leave the variable out, to play tapes only"),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_mode_is_one_of_four() {
        let error = "sometimes".parse::<Mode>().unwrap_err().to_string();
        let expected = "expected none, once, new_episodes or all";
        assert_eq!(error, format!("read DEXTAPE_MODE = \"sometimes\": {expected}"));
        assert_eq!("new_episodes".parse::<Mode>().unwrap(), Mode::NewEpisodes);
    }
}
