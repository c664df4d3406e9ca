//! What a call owns, and what the mock says of it.

use super::*;
use crate::driverkit::testing::{in_process, lints, texts};
use crate::driverkit::{
    MappingOptions, MemoryMap, OsSharedPtr, UserClientMethodDispatch, async_completion,
    super_external_method,
};
use crate::memory::{AccessError, Memory};
use std::sync::Mutex;

type Fired = (IoReturn, Vec<u64>);

/// Completions as they reach the kernel.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<Fired>>>);

impl Sink {
    fn completion(&self) -> CompletionSink {
        let taken = self.clone();
        Arc::new(move |status, arguments| {
            taken.0.lock().unwrap().push((status, arguments.to_vec()));
        })
    }

    fn taken(&self) -> Vec<Fired> {
        self.0.lock().unwrap().clone()
    }

    /// True where no action refers to it any more: the wake port's right is released.
    fn is_forgotten(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

/// A call to be filled in: selector 3, nothing in, nothing out.
fn nothing<'a>() -> ExternalMethodCall<'a> {
    ExternalMethodCall {
        arrival: Arrival { version: 2, selector: 3, ..Arrival::default() },
        scalar_input: &[],
        structure_input: &[],
        input_store: None,
        scalar_output: &mut [],
        output_store: None,
        completion: None,
    }
}

fn with_completion(sink: &Sink) -> ExternalMethodCall<'static> {
    let mut call = nothing();
    call.arrival.completion = true;
    call.completion = Some(sink.completion());
    call
}

fn with_output(maximum: u64) -> ExternalMethodCall<'static> {
    let mut call = nothing();
    call.arrival.maximum = maximum;
    call
}

fn with_input(store: &Arc<Backing>, length: u64) -> ExternalMethodCall<'static> {
    let mut call = nothing();
    call.arrival.input = InputForm::Descriptor { length };
    call.input_store = Some(Arc::clone(store));
    call
}

fn with_scalars(output: &mut [u64]) -> ExternalMethodCall<'_> {
    let mut call = nothing();
    call.arrival.scalar_output_count = output.len() as u32;
    call.scalar_output = output;
    call
}

fn run(
    process: &DextProcess,
    call: ExternalMethodCall<'_>,
    method: impl FnOnce(&mut ExternalMethodArguments<'_>),
) -> ExternalMethodOutcome {
    external_method(process, 1, call, |selector, arguments| {
        assert_eq!((selector, arguments.selector), (3, 3));
        method(arguments);
        IoReturn::SUCCESS
    })
}

fn map_all(descriptor: Option<&MemoryDescriptor>) -> OsSharedPtr<MemoryMap> {
    let map = descriptor.unwrap().create_mapping(MappingOptions::NONE, 0, 0, 0, 0);
    OsSharedPtr::adopt(map.unwrap())
}

fn assert_clean(process: &DextProcess) {
    assert!(process.findings().is_empty(), "{}", texts(process));
    assert!(process.leaks().is_empty(), "{}", process.leaks());
}

#[test]
fn arguments_arrive_as_the_boundary_says() {
    in_process(|process| {
        let store = Backing::new(5000);
        let mut call = with_input(&store, 4097);
        call.output_store = Some(Arc::clone(&store));
        call.arrival.output_descriptor = Some(5000);
        call.arrival.maximum = 5000;
        call.scalar_input = &[7, 8];
        run(process, call, |arguments| {
            assert_eq!((arguments.version, arguments.scalar_input), (2, &[7, 8][..]));
            assert!(arguments.structure_input.is_none() && arguments.completion.is_none());
            let input = arguments.structure_input_descriptor.as_ref().unwrap();
            assert_eq!((input.length(), input.direction()), (4097, Direction::OUT));
            let output = arguments.structure_output_descriptor.as_ref().unwrap();
            assert_eq!((output.length(), output.direction()), (5000, Direction::IN));
            assert_eq!(arguments.structure_output_maximum_size, 5000);
            assert_eq!(arguments.structure_input_length(), 4097);
            map_all(Some(output)).store::<u8>(4999, 9).unwrap();
        });
        let client: &dyn Memory = &*store;
        assert_eq!(client.load::<u8>(4999), Ok(9), "written at once, B8");
        let mut call = nothing();
        call.arrival.input = InputForm::Data { length: 3 };
        call.structure_input = &[1, 2, 3];
        run(process, call, |arguments| {
            assert_eq!(*arguments.structure_input.as_ref().unwrap().bytes(), [1, 2, 3]);
            assert_eq!(arguments.structure_input_length(), 3);
        });
        assert_clean(process);
    });
}

#[test]
fn b10_what_is_retained_outlives_the_call() {
    in_process(|process| {
        let store = Backing::new(5000);
        let mut call = with_input(&store, 5000);
        call.arrival.output_descriptor = Some(5000);
        call.output_store = Some(Arc::clone(&store));
        let mut kept = None;
        run(process, call, |arguments| {
            let input = arguments.structure_input_descriptor.as_ref().unwrap();
            let output = arguments.structure_output_descriptor.as_ref().unwrap();
            kept = Some((OsSharedPtr::retaining(input), OsSharedPtr::retaining(output)));
        });
        let (input, output) = kept.unwrap();
        assert_eq!((input.retain_count(), output.retain_count()), (1, 1));
        map_all(Some(&output)).store::<u8>(0, 1).unwrap();
        assert_eq!(process.leaks().leaks().len(), 2);
        drop((input, output));
        assert_clean(process);
    });
}

#[test]
fn b10_a_pointer_kept_without_a_retain_is_found() {
    in_process(|process| {
        let store = Backing::new(5000);
        let mut call = with_input(&store, 5000);
        call.arrival.input = InputForm::Descriptor { length: 5000 };
        let mut kept = None;
        run(process, call, |arguments| kept = arguments.structure_input_descriptor.clone());
        insta::assert_snapshot!(texts(process), @"
        an argument kept without a retain (kept-without-retain; B10, D12)
          a copy of structure_input_descriptor was kept without a reference of its own: it is gone now, and the pointer dangles
          in ExternalMethod, selector 3
          mend: retain it before the call returns, and release it when done
        ");
        let kept = kept.unwrap();
        assert_eq!(kept.length(), 0, "it is gone");
        let map = kept.create_mapping(MappingOptions::NONE, 0, 0, 0, 0);
        assert_eq!(map.err(), Some(IoReturn::BAD_ARGUMENT));
        assert_eq!(lints(process)[1..], ["use-after-release"; 2]);
    });
}

#[test]
fn b10_input_data_kept_without_a_retain_is_found_and_one_retained_is_not() {
    in_process(|process| {
        let call = || {
            let mut call = nothing();
            call.arrival.input = InputForm::Data { length: 1 };
            call.structure_input = &[5];
            call
        };
        let mut kept = None;
        run(process, call(), |arguments| {
            kept = arguments.structure_input.as_ref().map(OsSharedPtr::retaining);
        });
        assert_eq!(*kept.unwrap().bytes(), [5]);
        assert_clean(process);
        let mut kept = None;
        run(process, call(), |arguments| kept = arguments.structure_input.take());
        assert_eq!(lints(process), ["kept-without-retain"]);
        assert!(kept.unwrap().bytes().is_empty());
    });
}

#[test]
fn d11_a_retained_completion_fires_during_the_call_and_after_it_any_number_of_times() {
    in_process(|process| {
        let sink = Sink::default();
        let mut kept = None;
        run(process, with_completion(&sink), |arguments| {
            let action = arguments.completion.as_ref().unwrap();
            async_completion(action, IoReturn::SUCCESS, &[1]);
            kept = Some(OsSharedPtr::retaining(action));
        });
        let action = kept.unwrap();
        for argument in 2..4 {
            async_completion(&action, IoReturn::ABORTED, &[argument; 16]);
        }
        let expected = [
            (IoReturn::SUCCESS, vec![1]),
            (IoReturn::ABORTED, vec![2; 16]),
            (IoReturn::ABORTED, vec![3; 16]),
        ];
        assert_eq!(sink.taken(), expected);
        assert!(!sink.is_forgotten());
        drop(action);
        assert!(sink.is_forgotten(), "D20: the last reference aborts it");
        assert_clean(process);
    });
}

#[test]
fn d12_a_completion_that_is_not_retained_is_gone_with_the_call() {
    in_process(|process| {
        let sink = Sink::default();
        run(process, with_completion(&sink), |_| {});
        assert!(sink.is_forgotten());
        assert_clean(process);

        let mut kept = None;
        run(process, with_completion(&sink), |arguments| kept.clone_from(&arguments.completion));
        assert!(sink.is_forgotten(), "although a pointer to the action was kept");
        insta::assert_snapshot!(texts(process), @"
        an argument kept without a retain (kept-without-retain; B10, D12)
          a copy of completion was kept without a reference of its own: it is aborted now, and the client's callback will never be called
          in ExternalMethod, selector 3
          mend: retain it before the call returns, and release it when done
        ");
        let kept = kept.unwrap();
        async_completion(&kept, IoReturn::SUCCESS, &[]);
        assert!(sink.taken().is_empty(), "D20");
        assert_eq!(lints(process), ["kept-without-retain", "use-after-release"]);
    });
}

#[test]
fn d20_an_action_of_a_dead_process_does_nothing_and_says_nothing() {
    in_process(|process| {
        let sink = Sink::default();
        let mut kept = None;
        run(process, with_completion(&sink), |arguments| {
            kept = arguments.completion.as_ref().map(OsSharedPtr::retaining);
        });
        process.kill();
        assert!(sink.is_forgotten());
        async_completion(&kept.unwrap(), IoReturn::SUCCESS, &[]);
        assert!(sink.taken().is_empty() && process.findings().is_empty());
    });
}

#[test]
fn a_completion_released_by_its_borrower_is_found() {
    in_process(|process| {
        let sink = Sink::default();
        run(process, with_completion(&sink), |arguments| {
            arguments.completion.as_ref().unwrap().release();
        });
        insta::assert_snapshot!(texts(process), @"
        a release too many (over-release; F4, B10)
          completion was released although the dext holds no reference to it: the system's is gone
          in ExternalMethod, selector 3
          mend: retain once for each release; what CopyClientMemoryForType returns and what structure_output holds is released by the system, so do not release that yourself
        ");
    });
}

#[test]
fn a_completion_that_was_retained_and_given_back_is_no_finding() {
    in_process(|process| {
        let sink = Sink::default();
        run(process, with_completion(&sink), |arguments| {
            let action = OsSharedPtr::retaining(arguments.completion.as_ref().unwrap());
            async_completion(&action, IoReturn::SUCCESS, &[]);
        });
        assert_eq!(sink.taken().len(), 1);
        assert_clean(process);
    });
}

#[test]
fn a_pointer_that_is_left_over_from_a_reference_given_back_is_no_finding_until_it_is_used() {
    in_process(|process| {
        let sink = Sink::default();
        let mut left = None;
        run(process, with_completion(&sink), |arguments| {
            // As a handler on another thread may still have its pointer when it has released it.
            let action = OsSharedPtr::retaining(arguments.completion.as_ref().unwrap());
            left = Some(action.get());
        });
        assert_clean(process);
        async_completion(&left.unwrap(), IoReturn::SUCCESS, &[]);
        assert_eq!(lints(process), ["use-after-release"]);
    });
}

#[test]
fn d13_too_many_arguments_are_found_and_left_to_the_boundary() {
    in_process(|process| {
        let sink = Sink::default();
        run(process, with_completion(&sink), |arguments| {
            let action = arguments.completion.as_ref().unwrap();
            async_completion(action, IoReturn::SUCCESS, &[0; 16]);
            async_completion(action, IoReturn::SUCCESS, &[0; 17]);
        });
        assert_eq!(sink.taken().len(), 2);
        insta::assert_snapshot!(texts(process), @"
        a completion with too many arguments (too-many-arguments; D13)
          a completion with 17 arguments is dropped, and the client goes on waiting for it
          in ExternalMethod, selector 3 (HERE)
          mend: send at most 16 arguments with a completion
        ");
    });
}

#[test]
fn c1_an_output_that_fits_is_taken_and_released_by_the_system() {
    in_process(|process| {
        for length in [0, 1, 8] {
            let outcome = run(process, with_output(8), |arguments| {
                arguments.structure_output = Some(OsData::with_bytes(&[9; 8][..length]));
            });
            assert_eq!(outcome.structure_output.as_deref(), Some(&[9; 8][..length]));
        }
        let outcome = run(process, with_output(8), |_| {});
        assert_eq!(outcome.structure_output, None);
        assert_clean(process);
    });
}

#[test]
fn c2_c5_an_output_longer_than_asked_is_found() {
    in_process(|process| {
        let too_long = |arguments: &mut ExternalMethodArguments<'_>| {
            arguments.structure_output = Some(OsData::with_bytes(&[0; 65]));
        };
        let outcome = run(process, with_output(64), too_long);
        assert_eq!(outcome.structure_output.unwrap().len(), 65, "the boundary judges");
        run(process, with_output(64), too_long);
        insta::assert_snapshot!(texts(process), @"
        structure output longer than asked for (output-too-long; C2)
          structure_output holds 65 bytes where the client asked for 64, so the client gets kIOReturnBadArgument and none of them
          in ExternalMethod, selector 3, 2 times
          mend: return at most structure_output_maximum_size bytes, or fail with kIOReturnNoSpace so that the client learns why
        ");

        // No length is too long for variable output, and a failing call returns nothing anyway.
        run(process, with_output(u64::from(u32::MAX)), too_long);
        external_method(process, 1, with_output(1), |_, arguments| {
            too_long(arguments);
            IoReturn::BUSY
        });
        assert_eq!(process.findings()[0].count(), 2);

        let mut call = with_output(5000);
        call.arrival.output_descriptor = Some(5000);
        call.output_store = Some(Backing::new(5000));
        run(process, call, |arguments| {
            arguments.structure_output = Some(OsData::with_bytes(&[]));
        });
        assert_eq!(process.findings()[0].count(), 2, "an empty one beside a descriptor is fine");
        let mut call = with_output(5000);
        call.arrival.output_descriptor = Some(5000);
        call.output_store = Some(Backing::new(5000));
        run(process, call, too_long);
        assert_eq!(process.findings()[0].count(), 3);
        assert!(process.leaks().is_empty());
    });
}

#[test]
fn an_output_that_the_dext_released_itself_is_found() {
    in_process(|process| {
        let outcome = run(process, with_output(8), |arguments| {
            let data = OsSharedPtr::adopt(OsData::with_bytes(&[1]));
            arguments.structure_output = Some(data.get());
        });
        assert_eq!(outcome.structure_output, None);
        insta::assert_snapshot!(texts(process), @"
        a release too many (over-release; F4, B10)
          structure_output was released by the dext, and the system, which releases it, finds nothing there
          in ExternalMethod, selector 3 (HERE)
          mend: retain once for each release; what CopyClientMemoryForType returns and what structure_output holds is released by the system, so do not release that yourself
        ");
    });
}

#[test]
fn b5_an_input_is_a_read_only_snapshot_of_the_first_mapping() {
    in_process(|process| {
        let store = Backing::new(5000);
        let client: &dyn Memory = &*store;
        client.store::<u8>(0, 1).unwrap();
        run(process, with_input(&store, 5000), |arguments| {
            let input = arguments.structure_input_descriptor.as_ref();
            client.store::<u8>(0, 2).unwrap();
            let map = map_all(input);
            assert_eq!(map.load::<u8>(0), Ok(2), "what was written before the mapping is seen");
            client.store::<u8>(0, 3).unwrap();
            let part = input.unwrap().create_sub_memory_descriptor(Direction::OUT, 0, 1).unwrap();
            assert_eq!((map.load::<u8>(0), map_all(input).load::<u8>(0)), (Ok(2), Ok(2)));
            assert_eq!(map_all(Some(&part)).load::<u8>(0), Ok(2), "B5 holds for a part, too");
            part.release();
            assert!(process.findings().is_empty(), "{}", texts(process));
            for _ in 0..2 {
                assert_eq!(map.copy_in(8, &[0; 4]), Err(AccessError::ReadOnly { offset: 8 }));
            }
            assert!(map.fetch_or::<u32>(0, 1).is_err());
            assert_eq!(map.load::<u8>(0), Ok(2));
        });
        insta::assert_snapshot!(texts(process), @"
        a write through an input descriptor (input-written; B5, I10)
          4 bytes at offset 8 of the structure input were to be written, which is a fault in the dext
          in ExternalMethod, selector 3 (HERE), 3 times
          mend: write to a buffer of your own, or have the client hand in the memory as the structure output; a structure input is read-only and a snapshot
        ");
        assert!(process.leaks().is_empty());
    });
}

#[test]
fn c3_an_in_line_output_promised_for_later_is_found() {
    in_process(|process| {
        let sink = Sink::default();
        let mut kept = Vec::new();
        let mut call = |maximum, output: Option<&[u8]>, fire: bool, retain: bool| {
            let mut call = with_completion(&sink);
            call.arrival.maximum = maximum;
            run(process, call, |arguments| {
                let action = arguments.completion.as_ref().unwrap();
                if fire {
                    async_completion(action, IoReturn::SUCCESS, &[]);
                }
                if retain {
                    kept.push(OsSharedPtr::retaining(action));
                }
                arguments.structure_output = output.map(OsData::with_bytes);
            });
        };
        call(64, Some(&[1; 64]), false, true);
        call(64, Some(&[]), false, true);
        call(0, None, false, true);
        call(4097, None, false, true);
        call(64, None, true, true);
        call(64, None, false, false);
        assert!(process.findings().is_empty(), "{}", texts(process));
        call(4096, None, false, true);
        call(1, None, false, true);
        insta::assert_snapshot!(texts(process), @"
        an in-line output that is expected later (late-inline-output; C3, B8)
          the client asked for 4096 bytes in-line, structure_output is unset and the completion is kept for later, but the client's buffer is filled with zeros now and cannot be reached again
          in ExternalMethod, selector 3, 2 times
          mend: have the client ask for more than 4096 bytes, which arrive as a descriptor that outlives the call, or send the result as arguments of the completion
        ");
    });
}

#[test]
fn c7_c8_counts_that_promise_too_much_are_found() {
    in_process(|process| {
        let mut room = [0; 4];
        let right: [fn(&mut ExternalMethodArguments<'_>); 5] = [
            |arguments| arguments.scalar_output.fill(0),
            |arguments| (0..4).for_each(|index| arguments.scalar_output[index] = 0),
            |arguments| {
                arguments.scalar_output[0] = 1;
                arguments.scalar_output_count = 1;
            },
            |arguments| arguments.scalar_output_count = 0,
            |arguments| arguments.scalar_output[..].copy_from_slice(&[1, 2, 3, 4]),
        ];
        for method in right {
            run(process, with_scalars(&mut room), method);
        }
        run(process, with_scalars(&mut []), |_| {});
        external_method(process, 1, with_scalars(&mut room), |_, _| IoReturn::BUSY);
        assert_clean(process);

        let raised = run(process, with_scalars(&mut room[..2]), |arguments| {
            arguments.scalar_output.fill(1);
            arguments.scalar_output_count = 16;
        });
        assert_eq!(raised.scalar_output_count, 16, "the boundary judges");
        run(process, with_scalars(&mut room), |arguments| {
            arguments.scalar_output[0] = 1;
            assert_eq!(arguments.scalar_output[1], 1, "reading writes nothing");
            arguments.scalar_output[2] = 1;
        });
        insta::assert_snapshot!(texts(process), @"
        scalar_output_count raised (count-raised; C7)
          scalar_output_count was set to 16 where the client asked for 2
          in ExternalMethod, selector 3
          mend: never raise scalar_output_count; check it on entry and fail where it is too small
        scalar outputs left unwritten (output-unwritten; C8)
          of 4 scalar outputs 1, 3 were never written, and the client takes them for values
          in ExternalMethod, selector 3
          mend: write each counted entry of scalar_output, or lower scalar_output_count
        ");
    });
}

#[test]
fn a_dispatch_table_is_checked_before_its_function_is_called() {
    struct Target;
    impl Target {
        fn method(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
            arguments.scalar_output[0] = arguments.structure_input_length();
            IoReturn::SUCCESS
        }
    }
    let dispatch = UserClientMethodDispatch::<Target> {
        function: Some(Target::method),
        check_completion_exists: 0,
        check_structure_input_size: 5000,
        check_scalar_output_count: 1,
        ..UserClientMethodDispatch::UNCHECKED
    };
    in_process(|process| {
        let call = |length, dispatch: Option<&UserClientMethodDispatch<Target>>, target| {
            let store = Backing::new(length);
            let mut room = [0];
            let mut call = with_input(&store, length);
            call.arrival.scalar_output_count = 1;
            call.scalar_output = &mut room;
            let outcome = external_method(process, 1, call, |selector, arguments| {
                super_external_method(selector, arguments, dispatch, target)
            });
            (outcome.result, room[0])
        };
        assert_eq!(call(5000, Some(&dispatch), Some(&Target)), (IoReturn::SUCCESS, 5000));
        assert_eq!(call(5001, Some(&dispatch), Some(&Target)), (IoReturn::BAD_ARGUMENT, 0));
        let without = UserClientMethodDispatch { function: None, ..dispatch };
        assert_eq!(call(5000, Some(&without), Some(&Target)), (IoReturn::NO_COMPLETION, 0));
        assert_eq!(call(5000, Some(&dispatch), None), (IoReturn::NO_COMPLETION, 0));
        assert_eq!(call(5000, None, Some(&Target)), (IoReturn::UNSUPPORTED, 0));
    });
}
