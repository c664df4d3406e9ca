//! Group E: dispatch tables.

use crate::RuleTest;
use crate::kit::{Bench, Call, Log, TestDext, bytes};
use dextape::IoReturn;
use dextape::boundary::dispatch::{
    ArrayEntry, CallFacts, DispatchChecks, UNCHECKED, kext, kext_array, kext_old_table,
};
use dextape::boundary::{Rule, Rules};
use dextape::connection::{AsyncWake, Connection, System};
use dextape::driverkit::kext::{
    ExternalMethodDispatch, ExternalMethodDispatch2022, Kext, KextMethodArguments, KextService,
    KextUserClient, dispatch_external_method, external_method, old_external_method,
};
use dextape::driverkit::{
    ExternalMethodArguments, UserClientMethodDispatch, super_external_method,
};
use dextape::kernel::{ClientProcess, MockSystem, ServiceDescription};
use dextape::schedule::Schedule;
use std::sync::Arc;

pub(crate) const TESTS: &[RuleTest] = &[
    (Rule::E1, e1),
    (Rule::E2, e2),
    (Rule::E3, e3),
    (Rule::E4, e4),
    (Rule::E5, e5),
    (Rule::E6, e6),
    (Rule::E7, e7),
    (Rule::E8, e8),
    (Rule::E9, e9),
    (Rule::E10, e10),
];

type Entry = UserClientMethodDispatch<()>;

const WORKS: Entry = Entry { function: Some(works), ..Entry::UNCHECKED };

fn works(_: &(), _: &mut ExternalMethodArguments<'_>) -> IoReturn {
    IoReturn::SUCCESS
}

/// Makes `calls` of a dext that hands them to its base with this entry.
fn with_entry<R>(
    rules: Rules,
    entry: Option<Entry>,
    calls: impl FnOnce(&Bench<'_>, &dyn Connection) -> R,
) -> R {
    let dext = TestDext::new().method(move |selector, arguments| {
        super_external_method(selector, arguments, entry.as_ref(), Some(&()))
    });
    Bench::connected(rules, &dext, calls)
}

const REFUSED: IoReturn = IoReturn::BAD_ARGUMENT;
const CALLED: IoReturn = IoReturn::SUCCESS;

fn e1(rules: Rules) {
    // What the entry says, and the results without and with a completion.
    let cases = [(0, CALLED, REFUSED), (1, REFUSED, CALLED), (UNCHECKED, CALLED, CALLED)];
    for (check, without, with) in cases {
        let entry = Entry { check_completion_exists: check, ..WORKS };
        with_entry(rules, Some(entry), |bench, connection| {
            let queue = bench.queue();
            let wake = AsyncWake { queue: Some(&*queue), reference: Some(&[0]) };
            assert_eq!(Call::default().sync(connection).result, without, "{check}");
            assert_eq!(Call::default().with_wake(connection, &wake).result, with, "{check}");
        });
    }
}

fn e2(rules: Rules) {
    let none = Call::default();
    let two_in = Call { scalars: &[1, 2], ..none };
    let two_out = Call { scalars_asked: 2, ..none };
    let small = Call { structure: bytes(&[0; 16]), ..none };
    let large = [0; 5000];
    let large = Call { structure: bytes(&large), ..none };
    let cases = [
        (Entry { check_scalar_input_count: 2, ..WORKS }, two_in),
        (Entry { check_scalar_output_count: 2, ..WORKS }, two_out),
        (Entry { check_structure_input_size: 16, ..WORKS }, small),
        // The length of a descriptor counts like that of data.
        (Entry { check_structure_input_size: 5000, ..WORKS }, large),
    ];
    for (entry, fitting) in cases {
        with_entry(rules, Some(entry), |_, connection| {
            assert_eq!(fitting.sync(connection).result, CALLED, "{entry:?}");
            assert_eq!(none.sync(connection).result, REFUSED, "{entry:?}");
        });
    }
    with_entry(rules, Some(WORKS), |_, connection| {
        for call in [none, two_in, two_out, small, large] {
            assert_eq!(call.sync(connection).result, CALLED, "nothing is checked");
        }
    });
}

fn e3(rules: Rules) {
    let entry = Entry { check_structure_output_size: 16, ..WORKS };
    with_entry(rules, Some(entry), |_, connection| {
        for (bytes_asked, result) in [(16, CALLED), (15, REFUSED), (17, REFUSED), (0, REFUSED)] {
            let answer = Call { bytes_asked, ..Call::default() }.sync(connection);
            assert_eq!(answer.result, result, "what counts is what was asked for");
        }
    });
}

fn e4(rules: Rules) {
    fn says(_: &(), _: &mut ExternalMethodArguments<'_>) -> IoReturn {
        IoReturn(0x1234)
    }
    let entry = Entry { function: Some(says), ..Entry::UNCHECKED };
    for (entry, result) in [(entry, IoReturn(0x1234)), (Entry::UNCHECKED, IoReturn::NO_COMPLETION)]
    {
        with_entry(rules, Some(entry), |_, connection| {
            assert_eq!(Call::default().sync(connection).result, result);
        });
    }
}

fn e5(rules: Rules) {
    let entry = Entry { check_scalar_input_count: 2, ..Entry::UNCHECKED };
    with_entry(rules, Some(entry), |_, connection| {
        let result = Call::default().sync(connection).result;
        assert_eq!(result, REFUSED, "the counts are wrong, and there is no function either");
    });
}

fn e6(rules: Rules) {
    let log = Log::new();
    let seen = log.clone();
    let dext = TestDext::new().method(move |selector, arguments| {
        seen.push(selector);
        // As Apple's sample does beyond its table.
        super_external_method::<()>(selector, arguments, None, None)
    });
    Bench::connected(rules, &dext, |_, connection| {
        let answer = Call { selector: 9999, ..Call::default() }.sync(connection);
        assert_ne!(answer.result, IoReturn::BAD_ARGUMENT, "nobody has checked a range");
    });
    assert_eq!(log.take(), [9999]);
}

fn e7(rules: Rules) {
    with_entry(rules, None, |_, connection| {
        assert_eq!(Call::default().sync(connection).result, IoReturn::UNSUPPORTED);
    });
}

const ANY: DispatchChecks = DispatchChecks {
    completion_exists: UNCHECKED,
    scalar_input_count: UNCHECKED,
    structure_input_size: UNCHECKED,
    scalar_output_count: UNCHECKED,
    structure_output_size: UNCHECKED,
};

/// A kext whose only method is `method`, and a call of its client.
fn with_kext<R>(
    rules: Rules,
    method: fn(&mut KextMethodArguments<'_>) -> IoReturn,
    calls: impl FnOnce(&MockSystem, &dyn Connection) -> R,
) -> R {
    struct TestKext(fn(&mut KextMethodArguments<'_>) -> IoReturn);
    impl Kext for TestKext {
        fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn KextUserClient>>, IoReturn> {
            Ok(Some(Arc::new(TestKext(self.0))))
        }
    }
    impl KextUserClient for TestKext {
        fn external_method(&self, _: u32, arguments: &mut KextMethodArguments<'_>) -> IoReturn {
            (self.0)(arguments)
        }
    }
    Schedule::simulate(7, |schedule| {
        let client = ClientProcess::new(1, "client").entitled("com.example.maintain", true);
        let mock = MockSystem::builder(schedule).rules(rules).client(client).build();
        let kext = KextService::new(TestKext(method));
        let service = mock.publish(ServiceDescription::class("TestKext"), kext).unwrap();
        let connection = mock.open(service, 0).unwrap();
        calls(&mock, &*connection)
    })
}

fn kext_succeeds(_: &(), _: &mut KextMethodArguments<'_>) -> IoReturn {
    IoReturn::SUCCESS
}

const KEXT_WORKS: ExternalMethodDispatch<()> =
    ExternalMethodDispatch { function: Some(kext_succeeds), ..ExternalMethodDispatch::UNCHECKED };

fn e8(rules: Rules) {
    let facts = CallFacts::default();
    let demanding = DispatchChecks { completion_exists: 1, ..ANY };
    assert_eq!(kext(rules, &demanding, true, &facts), Ok(()), "no completion check");
    assert_eq!(kext(rules, &ANY, false, &facts), Err(IoReturn::NO_COMPLETION));
    let one = CallFacts { scalar_input_count: 1, ..facts };
    let none = DispatchChecks { scalar_input_count: 0, ..ANY };
    assert_eq!(kext(rules, &none, true, &one), Err(REFUSED));

    const TWO_IN: ExternalMethodDispatch<()> =
        ExternalMethodDispatch { check_scalar_input_count: 2, ..KEXT_WORKS };
    let method = |arguments: &mut KextMethodArguments<'_>| match arguments.selector {
        0 => external_method(arguments, &TWO_IN, &()),
        _ => external_method(arguments, &ExternalMethodDispatch::UNCHECKED, &()),
    };
    with_kext(rules, method, |mock, connection| {
        let two = Call { scalars: &[1, 2], ..Call::default() };
        assert_eq!(two.sync(connection).result, CALLED);
        let queue = mock.completion_queue();
        let wake = AsyncWake { queue: Some(&*queue), reference: Some(&[0]) };
        assert_eq!(two.with_wake(connection, &wake).result, CALLED);
        assert_eq!(Call::default().sync(connection).result, REFUSED);
        let without = Call { selector: 1, ..two }.sync(connection);
        assert_eq!(without.result, IoReturn::NO_COMPLETION);
    });
}

fn e9(rules: Rules) {
    let entry = ArrayEntry {
        checks: ANY,
        has_function: true,
        allow_async: false,
        lacks_entitlement: false,
    };
    let sync = CallFacts::default();
    let with_port = CallFacts { completion: true, ..sync };
    let call = |entry: ArrayEntry, selector, facts: &CallFacts| {
        kext_array(rules, Some(&[entry]), selector, facts)
    };
    assert_eq!(kext_array(rules, None, 0, &sync), Err(IoReturn::ERROR));
    assert_eq!(call(entry, 1, &sync), Err(REFUSED));
    assert_eq!(call(entry, 0, &sync), Ok(()));
    assert_eq!(call(entry, 0, &with_port), Err(REFUSED));
    assert_eq!(call(ArrayEntry { allow_async: true, ..entry }, 0, &with_port), Ok(()));
    let lacking = ArrayEntry { lacks_entitlement: true, has_function: false, ..entry };
    assert_eq!(call(lacking, 0, &sync), Err(IoReturn::NOT_PRIVILEGED));
    let without = ArrayEntry { has_function: false, ..entry };
    assert_eq!(call(without, 0, &sync), Err(IoReturn::NO_COMPLETION));

    const fn entry_for(
        allow_async: bool,
        check_entitlement: Option<&'static str>,
    ) -> ExternalMethodDispatch2022<()> {
        ExternalMethodDispatch2022 { method: KEXT_WORKS, allow_async, check_entitlement }
    }
    const METHODS: &[ExternalMethodDispatch2022<()>] = &[
        entry_for(false, None),
        entry_for(true, Some("com.example.maintain")),
        entry_for(true, Some("com.example.destroy")),
    ];
    let method = |arguments: &mut KextMethodArguments<'_>| {
        dispatch_external_method(arguments.selector, arguments, Some(METHODS), &())
    };
    with_kext(rules, method, |mock, connection| {
        let queue = mock.completion_queue();
        let wake = AsyncWake { queue: Some(&*queue), reference: Some(&[0]) };
        let results = [0, 1, 2, 3].map(|selector| {
            let call = Call { selector, ..Call::default() };
            (call.sync(connection).result, call.with_wake(connection, &wake).result)
        });
        let lacking = IoReturn::NOT_PRIVILEGED;
        let expected =
            [(CALLED, REFUSED), (CALLED, CALLED), (lacking, lacking), (REFUSED, REFUSED)];
        assert_eq!(results, expected);
    });
}

fn e10(rules: Rules) {
    assert_eq!(kext_old_table(rules, false, true), Ok(()));
    assert_eq!(kext_old_table(rules, true, true), Err(IoReturn::IPC_ERROR));
    assert_eq!(kext_old_table(rules, false, false), Err(IoReturn::UNSUPPORTED));
    let before = kext_old_table(rules, true, false);
    assert_eq!(before, Err(IoReturn::IPC_ERROR), "the structure is looked at first");

    let method = |arguments: &mut KextMethodArguments<'_>| match arguments.selector {
        0 => old_external_method(arguments, Some(kext_succeeds), &()),
        _ => old_external_method(arguments, None, &()),
    };
    with_kext(rules, method, |_, connection| {
        let call = |selector, bytes_asked| {
            Call { selector, bytes_asked, ..Call::default() }.sync(connection).result
        };
        assert_eq!((call(0, 4096), call(0, 4097)), (CALLED, IoReturn::IPC_ERROR));
        assert_eq!((call(1, 0), call(1, 4097)), (IoReturn::UNSUPPORTED, IoReturn::IPC_ERROR));
    });
}
