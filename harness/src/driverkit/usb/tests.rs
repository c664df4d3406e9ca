//! Transfers against a device that does as it is told.

use super::*;
use crate::driverkit::testing::{in_simulated_process, lints};
use crate::driverkit::{
    BufferMemoryDescriptor, DextProcess, Direction, DispatchQueue, MemoryDescriptor, OsAction,
    OsObject, OsSharedPtr,
};
use crate::memory::{Backing, Memory};
use crate::schedule::Schedule;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const OUT: u8 = 0x02;
const IN: u8 = 0x81;
const INTERRUPT: u8 = 0x83;
const PACKET: u16 = 512;

/// What a device has been told to do, and what it has seen.
#[derive(Default)]
struct Script {
    /// Lengths of the packets that came.
    seen: Vec<usize>,
    bytes: Vec<u8>,
    /// Packets to send; nothing to send is a NAK.
    to_send: VecDeque<Vec<u8>>,
    /// OUT packets that it takes before it answers with this.
    takes: usize,
    then: Option<Handshake>,
    halted: bool,
    cleared: Vec<u8>,
    controls: Vec<(SetupPacket, Vec<u8>)>,
    alternates: Vec<(u8, u8)>,
}

#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

impl Scripted {
    fn with<R>(&self, with: impl FnOnce(&mut Script) -> R) -> R {
        with(&mut self.0.lock().unwrap())
    }
}

impl UsbDeviceModel for Scripted {
    fn out_packet(&self, endpoint: u8, packet: &OutPacket<'_>) -> Handshake {
        assert_eq!(endpoint, OUT);
        self.with(|script| {
            if script.halted {
                return Handshake::Stall;
            }
            if script.seen.len() >= script.takes
                && let Some(then) = script.then
            {
                script.halted = then == Handshake::Stall;
                return then;
            }
            script.seen.push(packet.len());
            script.bytes.extend(packet.to_vec());
            Handshake::Ack
        })
    }

    fn in_packet(&self, endpoint: u8, packet: &mut InPacket<'_>) -> Handshake {
        assert_eq!(packet.maximum(), usize::from(PACKET), "endpoint {endpoint:#x}");
        self.with(|script| {
            let Some(bytes) = script.to_send.pop_front() else { return Handshake::Nak };
            // In two pieces, as a model may.
            let (first, second) = bytes.split_at(bytes.len() / 2);
            packet.write(first);
            packet.write(second);
            Handshake::Ack
        })
    }

    fn control(&self, setup: &SetupPacket, data: ControlData<'_, '_>) -> Handshake {
        self.with(|script| {
            if setup.bRequest == 0xff {
                return Handshake::Stall;
            }
            let bytes = match data {
                ControlData::Out(packet) => packet.to_vec(),
                ControlData::In(packet) => {
                    packet.write(&[1, 2, 3]);
                    Vec::new()
                }
            };
            script.controls.push((*setup, bytes));
            Handshake::Ack
        })
    }

    fn alternate_selected(&self, interface: u8, alternate: u8) {
        self.with(|script| script.alternates.push((interface, alternate)));
    }

    fn clear_halt(&self, endpoint: u8) {
        self.with(|script| {
            script.halted = false;
            script.then = None;
            script.cleared.push(endpoint);
        });
    }
}

/// A driver on a device of its own.
struct Bench {
    process: DextProcess,
    schedule: Schedule,
    script: Scripted,
    device: MockUsbDevice,
    interface: OsSharedPtr<UsbHostInterface>,
    queue: OsSharedPtr<DispatchQueue>,
    completions: Arc<Mutex<Vec<(IoReturn, u32, u64)>>>,
}

impl Bench {
    fn pipe(&self, address: u8) -> OsSharedPtr<UsbHostPipe> {
        OsSharedPtr::adopt(self.interface.copy_pipe(address).unwrap())
    }

    fn buffer(&self, direction: Direction, bytes: &[u8]) -> OsSharedPtr<BufferMemoryDescriptor> {
        let length = bytes.len() as u64;
        let buffer = self.interface.create_io_buffer(direction, length).unwrap();
        buffer.address_range().copy_in(0, bytes).unwrap();
        OsSharedPtr::adopt(buffer)
    }

    fn completion(&self) -> OsSharedPtr<OsAction> {
        let completions = Arc::clone(&self.completions);
        OsSharedPtr::adopt(UsbHostPipe::create_action_complete_async_io(
            &self.queue,
            move |_, status, count, timestamp| {
                completions.lock().unwrap().push((status, count, timestamp));
            },
        ))
    }

    /// Completions so far, once everything that can go on has.
    fn completed(&self) -> Vec<(IoReturn, u32)> {
        self.schedule.sleep(Duration::from_millis(1));
        let completions = self.completions.lock().unwrap();
        completions.iter().map(|(status, count, _)| (*status, *count)).collect()
    }
}

fn description() -> UsbDeviceDescription {
    let interrupt = UsbEndpoint {
        address: INTERRUPT,
        kind: UsbEndpointKind::Interrupt,
        max_packet_size: PACKET,
    };
    let endpoints = vec![UsbEndpoint::bulk(OUT, PACKET), UsbEndpoint::bulk(IN, PACKET), interrupt];
    // Setting 1 has the way out only, and setting 2 nothing.
    let alternates = vec![vec![UsbEndpoint::bulk(OUT, PACKET / 2)], Vec::new()];
    let interface = UsbInterfaceDescription {
        bInterfaceNumber: 3,
        endpoints,
        bInterfaceClass: 255,
        alternates,
    };
    let strings = vec!["Maker".to_owned(), "Thing".to_owned()];
    UsbDeviceDescription { idVendor: 1, idProduct: 2, interfaces: vec![interface], strings }
}

/// Runs `test` for several seeds; afterwards nothing may be wrong or left.
fn bench(test: impl Fn(&Bench)) {
    for seed in 0..5 {
        in_simulated_process(seed, |process, schedule| {
            let script = Scripted::default();
            let device = MockUsbDevice::new(schedule, description(), Arc::new(script.clone()));
            let provider = device.interface_provider(3).unwrap();
            let interface = UsbHostInterface::from_provider(&provider).unwrap();
            assert_eq!(interface.copy_pipe(OUT).err(), Some(IoReturn::NOT_OPEN));
            assert_eq!(interface.open(), IoReturn::SUCCESS);
            let bench = Bench {
                process: process.clone(),
                schedule: schedule.clone(),
                script,
                device,
                interface: OsSharedPtr::adopt(interface),
                queue: OsSharedPtr::adopt(DispatchQueue::create("usb").unwrap()),
                completions: Arc::default(),
            };
            test(&bench);
            drop(bench);
            assert!(process.leaks().is_empty(), "{}", process.leaks());
        });
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

#[test]
fn a_transfer_out_is_split_into_packets_of_the_endpoint() {
    bench(|bench| {
        let pipe = bench.pipe(OUT);
        for (length, packets) in [
            (1, vec![1]),
            (511, vec![511]),
            (512, vec![512]),
            (513, vec![512, 1]),
            (1024, vec![512, 512]),
            (5000, [vec![512; 9], vec![392]].concat()),
        ] {
            bench.script.with(|script| *script = Script::default());
            let buffer = bench.buffer(Direction::OUT, &pattern(length));
            let done = pipe.io(Some(&buffer), length as u32, 0);
            assert_eq!((done.status, done.actual_byte_count), (IoReturn::SUCCESS, length as u32));
            bench.script.with(|script| {
                assert_eq!(script.seen, packets);
                assert!(script.bytes == pattern(length));
            });
        }
        bench.script.with(|script| *script = Script::default());
        assert_eq!(pipe.io(None, 0, 0).status, IoReturn::SUCCESS);
        bench.script.with(|script| assert_eq!(script.seen, [0], "one packet without data"));
    });
}

#[test]
fn a_client_descriptor_goes_out_without_a_copy() {
    bench(|bench| {
        let store = Backing::new(5000);
        store.copy_in(0, &pattern(5000)).unwrap();
        let process = &bench.process;
        let (input, pipe) = (client_descriptor(process, &store, Direction::OUT), bench.pipe(OUT));
        bench.script.with(|script| {
            script.then = Some(Handshake::Nak);
            script.takes = 1;
        });
        let completion = bench.completion();
        assert_eq!(pipe.async_io(Some(&input), 5000, &completion, 0), IoReturn::SUCCESS);
        input.release();
        assert!(bench.completed().is_empty());
        // Bytes that are not on the bus yet are those that the client has there by then.
        store.copy_in(512, &[0xee; 4488]).unwrap();
        bench.script.with(|script| script.then = None);
        bench.device.ready();
        assert_eq!(bench.completed(), [(IoReturn::SUCCESS, 5000)]);
        bench.script.with(|script| {
            assert!(script.bytes[..512] == pattern(512));
            assert!(script.bytes[512..].iter().all(|byte| *byte == 0xee));
        });
        assert!(lints(process).is_empty());
    });
}

fn client_descriptor(
    process: &DextProcess,
    store: &Arc<Backing>,
    direction: Direction,
) -> MemoryDescriptor {
    let copy_on_write = direction == Direction::OUT;
    MemoryDescriptor::of_client(
        process,
        None,
        Some(Arc::clone(store)),
        5000,
        direction,
        copy_on_write,
    )
}

#[test]
fn a_transfer_in_ends_with_a_short_packet_or_a_full_buffer() {
    bench(|bench| {
        let pipe = bench.pipe(IN);
        let buffer = bench.buffer(Direction::IN, &[0; 1100]);
        let receive = |packets: &[usize], length| {
            bench.script.with(|script| {
                script.to_send = packets.iter().map(|length| pattern(*length)).collect();
            });
            let done = pipe.io(Some(&buffer), length, 0);
            bench.script.with(|script| script.to_send.clear());
            assert_eq!(done.status, IoReturn::SUCCESS, "{packets:?}");
            done.actual_byte_count
        };
        assert_eq!(receive(&[512, 512, 76, 1], 1100), 1100, "full");
        assert_eq!(receive(&[512, 100, 512], 1100), 612, "a short packet ends it");
        assert_eq!(receive(&[0, 512], 1100), 0, "an empty one, too");
        assert_eq!(receive(&[512, 512], 512), 512, "full with a whole packet");
        receive(&[512, 512, 76], 1100);
        let range = buffer.address_range();
        assert!(range.read_vec(512, 512).unwrap() == pattern(512));
        assert!(range.read_vec(1024, 76).unwrap() == pattern(76));
    });
}

#[test]
fn a_late_output_reaches_the_clients_memory() {
    bench(|bench| {
        let store = Backing::new(5000);
        let output = client_descriptor(&bench.process, &store, Direction::IN);
        let (pipe, completion) = (bench.pipe(IN), bench.completion());
        assert_eq!(pipe.async_io(Some(&output), 5000, &completion, 0), IoReturn::SUCCESS);
        output.release();
        assert!(bench.completed().is_empty());
        bench.script.with(|script| script.to_send = [vec![7; 512], vec![8; 3]].into());
        bench.device.ready();
        assert_eq!(bench.completed(), [(IoReturn::SUCCESS, 515)]);
        let client: &dyn Memory = &*store;
        assert_eq!(client.read_vec(510, 6).unwrap(), [7, 7, 8, 8, 8, 0]);
    });
}

#[test]
fn b5_a_device_does_not_write_to_a_structure_input() {
    bench(|bench| {
        let store = Backing::new(5000);
        let input = client_descriptor(&bench.process, &store, Direction::OUT);
        assert_eq!(bench.pipe(IN).io(Some(&input), 512, 0).status, IoReturn::NOT_WRITABLE);
        input.release();
        assert_eq!(lints(&bench.process), ["input-written"]);
    });
}

#[test]
fn too_long_a_packet_is_an_overrun_and_halts_the_pipe() {
    bench(|bench| {
        let pipe = bench.pipe(IN);
        let buffer = bench.buffer(Direction::IN, &[0; 100]);
        bench.script.with(|script| script.to_send = [vec![9; 101]].into());
        let done = pipe.io(Some(&buffer), 90, 0);
        assert_eq!((done.status, done.actual_byte_count), (IoReturn::OVERRUN, 90));
        let range = buffer.address_range();
        assert_eq!(range.read_vec(89, 2).unwrap(), [9, 0], "nothing behind the transfer");
        assert_eq!(pipe.io(Some(&buffer), 90, 0).status, USB_PIPE_STALLED);
    });
}

#[test]
fn a_stall_halts_the_pipe_until_it_is_cleared() {
    bench(|bench| {
        let (pipe, completion) = (bench.pipe(OUT), bench.completion());
        let buffer = bench.buffer(Direction::OUT, &pattern(2000));
        bench.script.with(|script| {
            script.takes = 2;
            script.then = Some(Handshake::Stall);
        });
        for _ in 0..2 {
            assert_eq!(pipe.async_io(Some(&buffer), 2000, &completion, 0), IoReturn::SUCCESS);
        }
        assert_eq!(bench.completed(), [(USB_PIPE_STALLED, 1024)], "the second one waits");
        assert_eq!(pipe.async_io(Some(&buffer), 2000, &completion, 0), USB_PIPE_STALLED);

        assert_eq!(pipe.clear_stall(false), IoReturn::SUCCESS);
        assert_eq!(bench.completed()[1..], [(IoReturn::ABORTED, 0)]);
        let again = pipe.io(Some(&buffer), 2000, 0);
        assert_eq!((again.status, again.actual_byte_count), (USB_PIPE_STALLED, 0), "no request");
        assert_eq!(pipe.clear_stall(true), IoReturn::SUCCESS);
        assert_eq!(pipe.io(Some(&buffer), 2000, 0).status, IoReturn::SUCCESS);
        bench.script.with(|script| assert_eq!(script.cleared, [OUT]));
    });
}

#[test]
fn an_abort_ends_what_is_pending_and_nothing_later() {
    bench(|bench| {
        let (pipe, completion) = (bench.pipe(OUT), bench.completion());
        let buffer = bench.buffer(Direction::OUT, &pattern(1500));
        bench.script.with(|script| {
            script.takes = 1;
            script.then = Some(Handshake::Nak);
        });
        for _ in 0..2 {
            assert_eq!(pipe.async_io(Some(&buffer), 1500, &completion, 0), IoReturn::SUCCESS);
        }
        assert!(bench.completed().is_empty());
        assert_eq!(completion.retain_count(), 3);
        assert_eq!(pipe.abort(AbortOption::Synchronous, IoReturn::BUSY), IoReturn::SUCCESS);
        // Fired: what is left is on the queue, where the handlers of both may still wait.
        bench.queue.dispatch_sync(|| ());
        assert_eq!(bench.completions.lock().unwrap().len(), 2);
        assert_eq!(bench.completed(), [(IoReturn::BUSY, 512), (IoReturn::BUSY, 0)]);
        bench.script.with(|script| script.then = None);
        assert_eq!(pipe.io(Some(&buffer), 1500, 0).status, IoReturn::SUCCESS);

        bench.script.with(|script| script.then = Some(Handshake::Nak));
        assert_eq!(pipe.async_io(Some(&buffer), 1500, &completion, 0), IoReturn::SUCCESS);
        assert_eq!(bench.interface.close(), IoReturn::SUCCESS);
        assert_eq!(bench.completed()[2..], [(IoReturn::ABORTED, 0)], "closing aborts, too");
        assert_eq!(bench.interface.close(), IoReturn::NOT_OPEN);
    });
}

#[test]
fn a_timeout_ends_a_transfer_at_its_time_and_leaves_the_pipe_usable() {
    bench(|bench| {
        let (pipe, completion) = (bench.pipe(OUT), bench.completion());
        let buffer = bench.buffer(Direction::OUT, &pattern(600));
        bench.script.with(|script| {
            script.takes = 1;
            script.then = Some(Handshake::Nak);
        });
        let begin = bench.schedule.now();
        assert_eq!(pipe.async_io(Some(&buffer), 600, &completion, 30), IoReturn::SUCCESS);
        bench.schedule.sleep(Duration::from_millis(20));
        bench.device.ready();
        assert!(bench.completed().is_empty(), "asking again does not make it last longer");
        bench.schedule.sleep(Duration::from_millis(20));
        let at = (begin + Duration::from_millis(30)).as_nanos() as u64;
        assert_eq!(*bench.completions.lock().unwrap(), [(IoReturn::TIMEOUT, 512, at)]);
        bench.script.with(|script| script.then = None);
        assert_eq!(pipe.io(Some(&buffer), 600, 30).status, IoReturn::SUCCESS);
        assert_eq!(bench.pipe(INTERRUPT).io(None, 0, 30).status, IoReturn::BAD_ARGUMENT);
    });
}

#[test]
fn a_device_that_is_gone_ends_everything() {
    bench(|bench| {
        let (pipe, completion) = (bench.pipe(IN), bench.completion());
        let buffer = bench.buffer(Direction::IN, &[0; 8]);
        for _ in 0..2 {
            assert_eq!(pipe.async_io(Some(&buffer), 8, &completion, 0), IoReturn::SUCCESS);
        }
        bench.device.disconnect();
        // What programs see on a Mac: 0xe00002eb for what was pending.
        assert_eq!(bench.completed(), [(IoReturn(0xe000_02eb), 0); 2]);
        assert_eq!(pipe.io(Some(&buffer), 8, 0).status, IoReturn::NO_DEVICE);
        assert_eq!(pipe.clear_stall(true), IoReturn::NO_DEVICE);
    });
}

#[test]
fn a_dead_process_hears_nothing_of_its_transfers() {
    in_simulated_process(1, |process, schedule| {
        let script = Scripted::default();
        let device = MockUsbDevice::new(schedule, description(), Arc::new(script.clone()));
        let interface =
            UsbHostInterface::from_provider(&device.interface_provider(3).unwrap()).unwrap();
        assert_eq!(interface.open(), IoReturn::SUCCESS);
        let queue = DispatchQueue::create("usb").unwrap();
        let held = Arc::new(());
        let copy = Arc::clone(&held);
        let completion = OsAction::create(&queue, move |_, _, _| unreachable!("{copy:?}"));
        let buffer = interface.create_io_buffer(Direction::IN, 8).unwrap();
        let pipe = interface.copy_pipe(IN).unwrap();
        assert_eq!(pipe.async_io(Some(&buffer), 8, &completion, 0), IoReturn::SUCCESS);
        schedule.sleep(Duration::from_millis(1));
        process.kill();
        script.with(|script| script.to_send = [vec![1; 8]].into());
        device.ready();
        schedule.sleep(Duration::from_millis(1));
        assert_eq!(Arc::strong_count(&held), 1);
        script.with(|script| assert_eq!(script.to_send.len(), 1, "the transfer was aborted"));

        // The next driver can have the interface.
        let next = DextProcess::new("com.example.next", schedule);
        let _inside = next.enter();
        let interface =
            UsbHostInterface::from_provider(&device.interface_provider(3).unwrap()).unwrap();
        assert_eq!(interface.open(), IoReturn::SUCCESS);
    });
}

#[test]
fn arguments_that_do_not_fit_are_refused_and_complete_nothing() {
    bench(|bench| {
        let (pipe, completion) = (bench.pipe(OUT), bench.completion());
        let buffer = bench.buffer(Direction::OUT, &[1; 100]);
        let refused = IoReturn::BAD_ARGUMENT;
        assert_eq!(pipe.async_io(Some(&buffer), 101, &completion, 0), refused);
        assert_eq!(pipe.async_io(None, 1, &completion, 0), refused);
        assert_eq!(bench.interface.copy_pipe(0x04).err(), Some(IoReturn::NOT_FOUND));
        assert_eq!(bench.interface.copy_pipe(0).err(), Some(IoReturn::NOT_FOUND));
        assert!(bench.completed().is_empty());
        assert_eq!(completion.retain_count(), 1);
    });
}

#[test]
fn an_action_is_held_while_its_transfer_is_pending() {
    bench(|bench| {
        let (pipe, completion) = (bench.pipe(IN), bench.completion().detach());
        let buffer = bench.buffer(Direction::IN, &[0; 8]);
        assert_eq!(pipe.async_io(Some(&buffer), 8, &completion, 0), IoReturn::SUCCESS);
        completion.release();
        drop(buffer);
        bench.script.with(|script| script.to_send = [vec![1; 8]].into());
        bench.device.ready();
        assert_eq!(bench.completed(), [(IoReturn::SUCCESS, 8)]);
        assert_eq!(completion.retain_count(), 0);
        assert!(lints(&bench.process).is_empty());
    });
}

#[test]
fn interfaces_and_devices_are_for_one_driver_at_a_time() {
    bench(|bench| {
        let provider = bench.device.provider();
        assert!(UsbHostInterface::from_provider(&provider).is_none());
        let device = OsSharedPtr::adopt(UsbHostDevice::from_provider(&provider).unwrap());
        assert_eq!(device.descriptor().idProduct, 2);
        assert_eq!(device.set_configuration(1), IoReturn::NOT_OPEN);
        assert_eq!(device.open(), IoReturn::SUCCESS);
        assert_eq!(device.open(), IoReturn::EXCLUSIVE_ACCESS);
        let interfaces = device.copy_interfaces().unwrap();
        assert_eq!(interfaces.len(), 1);
        assert_eq!(interfaces[0].open(), IoReturn::EXCLUSIVE_ACCESS, "the bench has it");
        interfaces[0].release();
        assert_eq!(device.set_configuration(2), IoReturn::NOT_FOUND);
        assert_eq!(device.set_configuration(0), IoReturn::SUCCESS);
        assert!(device.copy_interfaces().unwrap().is_empty());
        assert_eq!(device.close(), IoReturn::SUCCESS);
        assert_eq!(device.close(), IoReturn::NOT_OPEN);
    });
}

#[test]
fn control_requests_carry_their_data_and_a_stall_halts_nothing() {
    bench(|bench| {
        let buffer = bench.buffer(Direction::IN_OUT, &[9; 8]);
        let setup = |request_type, request| SetupPacket {
            bmRequestType: request_type,
            bRequest: request,
            wLength: 8,
            ..SetupPacket::default()
        };
        let out = bench.interface.device_request(setup(0x40, 1), Some(&buffer), 0);
        assert_eq!((out.status, out.actual_byte_count), (IoReturn::SUCCESS, 8));
        let stalled = bench.interface.device_request(setup(0x40, 0xff), Some(&buffer), 0);
        assert_eq!(stalled.status, USB_PIPE_STALLED);
        let device =
            OsSharedPtr::adopt(UsbHostDevice::from_provider(&bench.device.provider()).unwrap());
        let back = device.device_request(setup(0xc0, 2), Some(&buffer), 0);
        assert_eq!((back.status, back.actual_byte_count), (IoReturn::SUCCESS, 3));
        assert_eq!(buffer.address_range().read_vec(0, 4).unwrap(), [1, 2, 3, 9]);
        bench.script.with(|script| {
            let requests: Vec<_> = script
                .controls
                .iter()
                .map(|(setup, bytes)| (setup.bRequest, bytes.len()))
                .collect();
            assert_eq!(requests, [(1, 8), (2, 0)]);
        });
    });
}

#[test]
fn an_alternate_setting_has_its_own_endpoints_and_closes_the_pipes_of_the_other() {
    bench(|bench| {
        let (out, completion) = (bench.pipe(OUT), bench.completion());
        let buffer = bench.buffer(Direction::OUT, &pattern(600));
        bench.script.with(|script| script.then = Some(Handshake::Nak));
        assert_eq!(out.async_io(Some(&buffer), 600, &completion, 0), IoReturn::SUCCESS);
        let interface = &bench.interface;
        assert_eq!(interface.select_alternate_setting(3), IoReturn::NOT_FOUND);
        assert!(bench.completed().is_empty(), "nothing has changed");
        assert_eq!(interface.select_alternate_setting(1), IoReturn::SUCCESS);
        assert_eq!(bench.completed(), [(IoReturn::ABORTED, 0)]);
        assert_eq!(out.io(Some(&buffer), 600, 0).status, IoReturn::NOT_OPEN);
        assert_eq!(interface.copy_pipe(IN).err(), Some(IoReturn::NOT_FOUND));

        bench.script.with(|script| script.then = None);
        let narrow = bench.pipe(OUT);
        assert_eq!(narrow.descriptor().max_packet_size, PACKET / 2);
        assert_eq!(narrow.io(Some(&buffer), 600, 0).status, IoReturn::SUCCESS);
        let half = usize::from(PACKET / 2);
        bench.script.with(|script| assert_eq!(script.seen, [half, half, 600 - 2 * half]));

        assert_eq!(interface.select_alternate_setting(2), IoReturn::SUCCESS);
        assert_eq!(interface.copy_pipe(OUT).err(), Some(IoReturn::NOT_FOUND));
        assert_eq!(interface.select_alternate_setting(0), IoReturn::SUCCESS);
        assert_eq!(out.io(None, 0, 0).status, IoReturn::NOT_OPEN, "the old pipe stays closed");
        assert_eq!(bench.pipe(OUT).io(Some(&buffer), 600, 0).status, IoReturn::SUCCESS);
        assert_eq!(interface.alternate_setting(), 0);
        bench.script.with(|script| assert_eq!(script.alternates, [(3, 1), (3, 2), (3, 0)]));
        assert_eq!(interface.close(), IoReturn::SUCCESS);
        assert_eq!(interface.select_alternate_setting(1), IoReturn::NOT_OPEN);
    });
}

#[test]
fn strings_are_counted_from_one() {
    bench(|bench| {
        let device = UsbHostDevice::from_provider(&bench.device.provider()).unwrap();
        let device = OsSharedPtr::adopt(device);
        let strings: Vec<_> = (0..4).map(|index| device.copy_string_descriptor(index)).collect();
        assert_eq!(strings, [None, Some("Maker"), Some("Thing"), None]);
    });
}
