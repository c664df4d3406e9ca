//! The right dext does what the description says, and refuses everything else.

use crate::dext::{LegalCall, Length, Sampler, Scalar, description, memory_type, selector};
use crate::honest::Bench;
use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::{
    AsyncWake, Connection, ConnectionExt, MethodInput, MethodOutput, StructureInput,
    StructureOutput,
};
use dextape::memory::SharedBuffer;
use std::sync::Arc;
use std::time::Duration;

/// Lengths to try, legal or not.
const LENGTHS: [u64; 16] =
    [0, 1, 3, 4, 7, 8, 16, 24, 4095, 4096, 4097, 16_384, 16_385, 65_536, 65_537, 1 << 20];

/// One way to make a call.
#[derive(Clone, Debug)]
struct Shape {
    scalars: Vec<u64>,
    scalars_out: usize,
    input: u64,
    output: u64,
    asynchronous: bool,
}

impl Shape {
    /// The legal one with that length of input, or an exemplary one.
    fn legal(call: &LegalCall, scalars: &[u64]) -> Self {
        let input = call.input.example(0);
        Self {
            scalars: scalars.to_vec(),
            scalars_out: call.scalars_out,
            input,
            output: call.output.example(input),
            asynchronous: call.asynchronous,
        }
    }

    /// Makes the call. A success gives just what was asked for.
    fn make(&self, bench: &Bench, connection: &dyn Connection, selector: u32) -> IoReturn {
        let (input, output) = (SharedBuffer::new(self.input), SharedBuffer::new(self.output));
        let structure = match self.input {
            0 => StructureInput::None,
            _ => StructureInput::Shared(&input),
        };
        let room = match self.output {
            0 => StructureOutput::None,
            _ => StructureOutput::Shared(&output),
        };
        let mut scalars = [0; 17];
        let input = MethodInput { scalars: &self.scalars, structure };
        let mut output = MethodOutput::new(&mut scalars[..self.scalars_out], room);
        let queue = bench.queue();
        let wake = AsyncWake { queue: Some(&*queue), reference: Some(&[0]) };
        let result = if self.asynchronous {
            connection.call_async_method(selector, &wake, &input, &mut output)
        } else {
            connection.call_method(selector, &input, &mut output)
        };
        if result.is_success() {
            let returned = (output.scalar_count as usize, output.structure_size);
            assert_eq!(returned, (self.scalars_out, self.output), "selector {selector}: {self:?}");
        }
        result
    }
}

/// Every way to make the call that is tried here, each with whether it is legal.
fn shapes(call: &LegalCall, scalars: &[u64]) -> Vec<(Shape, bool)> {
    let legal = Shape::legal(call, scalars);
    let mut shapes = vec![
        (legal.clone(), true),
        (Shape { asynchronous: !legal.asynchronous, ..legal.clone() }, false),
    ];
    for count in (0..=16).filter(|count| *count != legal.scalars.len()) {
        let mut scalars = legal.scalars.clone();
        scalars.resize(count, 1);
        shapes.push((Shape { scalars, ..legal.clone() }, false));
    }
    for scalars_out in (0..=16).filter(|count| *count != legal.scalars_out) {
        shapes.push((Shape { scalars_out, ..legal.clone() }, false));
    }
    for (index, scalar) in call.scalars.iter().enumerate() {
        let values = match *scalar {
            Scalar::Any { .. } => vec![(0, true), (u64::MAX, true)],
            Scalar::Within { least, most, .. } => vec![
                (least, true),
                (most, true),
                (least.wrapping_sub(1), false),
                (most + 1, false),
                (u64::MAX, false),
            ],
            Scalar::Returned { .. } => {
                vec![(0, false), (scalars[index] + 1, false), (1 << 63, false)]
            }
        };
        for (value, is_legal) in values {
            let mut shape = legal.clone();
            shape.scalars[index] = value;
            shapes.push((shape, is_legal));
        }
    }
    for input in LENGTHS {
        let fits = call.input.allows(input, 0);
        let output = if call.output == Length::AsInput { input } else { legal.output };
        shapes.push((Shape { input, output, ..legal.clone() }, fits));
    }
    for output in LENGTHS {
        let fits = call.output.allows(output, legal.input);
        shapes.push((Shape { output, ..legal.clone() }, fits));
    }
    shapes
}

#[test]
fn the_calls_of_the_description_work_and_no_others() {
    let mut tried = [0; 2];
    Bench::with(3, Sampler::RIGHT, |bench| {
        for call in description().calls {
            let probe = bench.open();
            let scalars = call.prepare(&*probe).unwrap();
            for (shape, is_legal) in shapes(call, &scalars) {
                let connection = bench.open();
                assert_eq!(call.prepare(&*connection).unwrap(), scalars);
                let result = shape.make(bench, &*connection, call.selector);
                assert_eq!(result.is_success(), is_legal, "{}: {shape:?}: {result}", call.name);
                assert_eq!(connection.close(), IoReturn::SUCCESS);
                tried[usize::from(is_legal)] += 1;
            }
            let legal = Shape::legal(call, &scalars);
            assert_eq!(legal.make(bench, &*probe, call.selector), IoReturn::SUCCESS);
            let again = legal.make(bench, &*probe, call.selector);
            assert_eq!(again.is_success(), call.repeatable, "{} again: {again}", call.name);
        }
        for beyond in [selector::COUNT, selector::COUNT + 1, 256, 65_536, u32::MAX] {
            let nothing =
                Shape { scalars: vec![], scalars_out: 0, input: 0, output: 0, asynchronous: false };
            let result = nothing.make(bench, &*bench.open(), beyond);
            assert_eq!(result, IoReturn::BAD_ARGUMENT, "selector {beyond}");
        }
        bench.schedule.sleep(Duration::from_secs(60));
        assert_eq!(bench.mock.leaks(), []);
        assert_eq!(bench.mock.findings(), []);
    });
    assert!(tried[0] > 500 && tried[1] > 40, "{tried:?}");
}

#[test]
fn the_memory_of_the_description_can_be_mapped_and_no_other() {
    Bench::with(4, Sampler::RIGHT, |bench| {
        let connection = bench.open();
        let map = |memory_type| connection.map_memory(memory_type, MapOptions::ANYWHERE, 0);
        for memory in description().memory {
            let unmap = || connection.unmap_memory(memory.memory_type, 0);
            assert_eq!(unmap(), IoReturn::BAD_ARGUMENT, "{} was not mapped yet", memory.name);
            for _ in 0..3 {
                let (first, second) = (map(memory.memory_type).unwrap(), map(memory.memory_type));
                assert_eq!(first.length(), memory.length);
                assert_eq!(first.store::<u8>(0, 1).is_err(), memory.read_only);
                assert_eq!(second.unwrap().id(), first.id());
                assert_eq!(unmap(), IoReturn::SUCCESS);
                assert_eq!(unmap(), IoReturn::BAD_ARGUMENT, "{} a second time", memory.name);
            }
        }
        for unknown in [2, 255, u32::MAX] {
            assert_eq!(map(unknown).unwrap_err(), IoReturn::BAD_ARGUMENT);
            assert_eq!(connection.unmap_memory(unknown, 0), IoReturn::UNSUPPORTED);
        }
        drop(connection);
        assert_eq!(bench.mock.leaks(), []);
        assert_eq!(bench.mock.findings(), []);
    });
}

#[test]
fn connections_have_nothing_in_common() {
    Bench::with(5, Sampler::RIGHT, |bench| {
        let (first, second) = (bench.open(), bench.open());
        let free = &description().calls[selector::FREE as usize];
        let scalars = free.prepare(&*first).unwrap();
        let opened = second.call(selector::OPEN_SESSION).scalars(&[0]).want_scalars(1).send();
        assert_eq!(opened.unwrap().scalars[..], [1]);
        let legal = Shape::legal(free, &scalars);
        assert_eq!(legal.make(bench, &*second, selector::FREE), IoReturn::NOT_FOUND);
        assert_eq!(legal.make(bench, &*first, selector::FREE), IoReturn::SUCCESS);

        let map = |connection: &dyn Connection| {
            connection.map_memory(memory_type::WINDOW, MapOptions::ANYWHERE, 0).unwrap()
        };
        let (window, other) = (map(&*first), map(&*second));
        let feed = second.call(selector::FEED).scalars(&[0]).input_bytes(&[9]);
        feed.want_scalars(2).send().unwrap();
        assert_eq!((window.load::<u8>(0), other.load::<u8>(0)), (Ok(0), Ok(9)));
    });
}

#[test]
fn a_close_in_the_middle_leaves_nothing_behind() {
    let mut cut_off = 0;
    for seed in 0..40 {
        Bench::with(seed, Sampler::RIGHT, |bench| {
            let connection: Arc<dyn Connection> = Arc::from(bench.open());
            let (queue, other) = (bench.queue(), Arc::clone(&connection));
            let wake_queue = Arc::clone(&queue);
            let caller = bench.schedule.spawn("caller", move || {
                let watch = |scalars: &[u64]| {
                    let call = other.call(selector::WATCH).scalars(scalars);
                    call.completing_on(&*wake_queue, &[0]).send().is_ok()
                };
                let feed = || {
                    let call = other.call(selector::FEED).scalars(&[1]).input_bytes(&[1; 5000]);
                    call.want_scalars(2).send().is_ok()
                };
                let done = [watch(&[7, 16]), feed(), watch(&[5, 16]), feed(), watch(&[3, 16])];
                done.into_iter().filter(|done| *done).count()
            });
            for _ in 0..seed % 12 {
                bench.schedule.yield_now();
            }
            assert_eq!(connection.close(), IoReturn::SUCCESS);
            cut_off += usize::from(caller.join() < 5);
            bench.mock.settle();
            while queue.poll().is_some() {}
            assert_eq!(queue.wait(Some(Duration::from_secs(60))), None, "seed {seed}");
            assert_eq!(bench.mock.leaks(), [], "seed {seed}");
            assert_eq!(bench.mock.findings(), [], "seed {seed}");
        });
    }
    assert!((10..40).contains(&cut_off), "{cut_off} runs were cut off");
}
