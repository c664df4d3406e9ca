//! `IOConnect*`: calls, rights, and what else can be asked of a connection.

use super::call::{Arguments, Wake};
use super::service::destination;
use crate::cf::{CfRef, text_of, to_value};
use crate::mach::Kern;
use crate::port::{self, Kind};
use crate::raw::{In, Out};
use dextape::IoReturn;
use dextape::boundary::WakePort;
use dextape::boundary::library::rights_dropped_by_close;
use dextape::boundary::other::{self, Serialised};
use dextape::connection::{Connection, Value};
use dextape::coverage::rules;
use std::collections::BTreeMap;

/// Closes a connection and drops a right of it, whatever comes of the close (G12).
pub(super) fn close(connect: u32) -> IoReturn {
    let rules = rules();
    let (destination, found) = destination(connect);
    let result = match (destination.check(rules), found) {
        (Ok(()), Some(found)) => {
            super::mapping::look_last(&found);
            found.connection.close()
        }
        (Ok(()), None) => IoReturn::MACH_SEND_INVALID_DEST,
        (Err(code), _) => code,
    };
    for _ in 0..rights_dropped_by_close(rules, result) {
        let _ = port::deallocate(connect);
    }
    super::mapping::forget_ended();
    result
}

const NULL_IN: u64 = 0;

impl Arguments {
    fn new(connect: u32, selector: u32) -> Self {
        Self {
            connect,
            selector,
            wake: None,
            input: In::at(NULL_IN),
            input_count: 0,
            structure: In::at(NULL_IN),
            structure_size: 0,
            output: Out::at(NULL_IN),
            output_count: Out::at(NULL_IN),
            output_structure: Out::at(NULL_IN),
            output_structure_size: Out::at(NULL_IN),
        }
    }

    fn scalars(mut self, input: In<u64>, count: u32, output: Out<u64>, asked: Out<u32>) -> Self {
        (self.input, self.input_count) = (input, count);
        (self.output, self.output_count) = (output, asked);
        self
    }

    fn structures(
        mut self,
        input: In<u8>,
        size: usize,
        output: Out<u8>,
        asked: Out<usize>,
    ) -> Self {
        (self.structure, self.structure_size) = (input, size as u64);
        (self.output_structure, self.output_structure_size) = (output, asked.cast());
        self
    }

    fn waking(mut self, port: u32, reference: In<u64>, count: u32) -> Self {
        self.wake = Some(Wake { port, reference, count });
        self
    }

    fn make(self) -> Kern {
        self.call().as_kern_return()
    }
}

/// Asks a connection, if there is one.
fn ask(connect: u32, answer: impl FnOnce(&dyn Connection) -> IoReturn) -> Kern {
    let (destination, found) = destination(connect);
    match (destination.check(rules()), found) {
        (Ok(()), Some(found)) => answer(&*found.connection),
        (Ok(()), None) => IoReturn::MACH_SEND_INVALID_DEST,
        (Err(code), _) => code,
    }
    .as_kern_return()
}

fn trap(connect: u32, index: u32, arguments: &[usize]) -> Kern {
    let (destination, found) = destination(connect);
    if let Err(code) = destination.check_trap(rules()) {
        return code.as_kern_return();
    }
    let mut words = [0; 6];
    for (word, argument) in words.iter_mut().zip(arguments) {
        *word = *argument as u64;
    }
    let made = found.map(|found| found.connection.trap(index, &words[..arguments.len()]));
    made.unwrap_or(IoReturn::BAD_ARGUMENT).as_kern_return()
}

/// Properties without a serialised form are not sent at all (G19).
fn set_properties(connect: u32, properties: Option<Value>) -> Kern {
    let Some(properties) = properties else {
        let (destination, _) = destination(connect);
        let rules = rules();
        let refused = other::set_properties(rules, destination.check(rules), Serialised::of(None));
        return refused.err().unwrap_or(IoReturn::SUCCESS).as_kern_return();
    };
    ask(connect, |connect| connect.set_properties(Some(&properties)))
}

/// The port that a client gives for notifications, of which it must have the receive right (D5).
fn set_notification_port(connect: u32, kind: u32, name: u32, reference: usize) -> Kern {
    let own = port::port_of(name);
    if own.is_none() && name != 0 {
        let rules = rules();
        let (destination, _) = destination(connect);
        let refused =
            other::set_notification_port(rules, destination.check(rules), WakePort::Foreign);
        return refused.err().unwrap_or(IoReturn::SUCCESS).as_kern_return();
    }
    let mut reference = [0, 0, reference as u64];
    super::handles::to_numbers(&mut reference);
    ask(connect, |connect| {
        let queue = own.as_ref().map(|port| &**port.completions());
        connect.set_notification_port(kind, queue, reference[2])
    })
}

export! {
    fn IOConnectCallMethod(
        connect: u32,
        selector: u32,
        input: In<u64>,
        input_count: u32,
        structure: In<u8>,
        structure_size: usize,
        output: Out<u64>,
        output_count: Out<u32>,
        output_structure: Out<u8>,
        output_structure_size: Out<usize>,
    ) -> Kern {
        Arguments::new(connect, selector)
            .scalars(input, input_count, output, output_count)
            .structures(structure, structure_size, output_structure, output_structure_size)
            .make()
    }

    fn IOConnectCallScalarMethod(
        connect: u32,
        selector: u32,
        input: In<u64>,
        input_count: u32,
        output: Out<u64>,
        output_count: Out<u32>,
    ) -> Kern {
        Arguments::new(connect, selector).scalars(input, input_count, output, output_count).make()
    }

    fn IOConnectCallStructMethod(
        connect: u32,
        selector: u32,
        structure: In<u8>,
        structure_size: usize,
        output: Out<u8>,
        output_size: Out<usize>,
    ) -> Kern {
        Arguments::new(connect, selector)
            .structures(structure, structure_size, output, output_size)
            .make()
    }

    fn IOConnectCallAsyncMethod(
        connect: u32,
        selector: u32,
        wake_port: u32,
        reference: In<u64>,
        reference_count: u32,
        input: In<u64>,
        input_count: u32,
        structure: In<u8>,
        structure_size: usize,
        output: Out<u64>,
        output_count: Out<u32>,
        output_structure: Out<u8>,
        output_structure_size: Out<usize>,
    ) -> Kern {
        Arguments::new(connect, selector)
            .waking(wake_port, reference, reference_count)
            .scalars(input, input_count, output, output_count)
            .structures(structure, structure_size, output_structure, output_structure_size)
            .make()
    }

    fn IOConnectCallAsyncScalarMethod(
        connect: u32,
        selector: u32,
        wake_port: u32,
        reference: In<u64>,
        reference_count: u32,
        input: In<u64>,
        input_count: u32,
        output: Out<u64>,
        output_count: Out<u32>,
    ) -> Kern {
        Arguments::new(connect, selector)
            .waking(wake_port, reference, reference_count)
            .scalars(input, input_count, output, output_count)
            .make()
    }

    fn IOConnectCallAsyncStructMethod(
        connect: u32,
        selector: u32,
        wake_port: u32,
        reference: In<u64>,
        reference_count: u32,
        structure: In<u8>,
        structure_size: usize,
        output: Out<u8>,
        output_size: Out<usize>,
    ) -> Kern {
        Arguments::new(connect, selector)
            .waking(wake_port, reference, reference_count)
            .structures(structure, structure_size, output, output_size)
            .make()
    }

    /// As before macOS 10.5.
    fn IOConnectMethodStructureIStructureO(
        connect: u32,
        selector: u32,
        structure_size: usize,
        output_size: Out<usize>,
        structure: In<u8>,
        output: Out<u8>,
    ) -> Kern {
        Arguments::new(connect, selector)
            .structures(structure, structure_size, output, output_size)
            .make()
    }

    fn IOConnectAddRef(connect: u32) -> Kern {
        super::retain(connect).as_kern_return()
    }

    fn IOConnectRelease(connect: u32) -> Kern {
        super::release(connect).as_kern_return()
    }

    fn IOConnectGetService(connect: u32, service: Out<u32>) -> Kern {
        ask(connect, |connect| match connect.get_service() {
            Ok(found) => {
                service.put(port::service_name(found));
                IoReturn::SUCCESS
            }
            Err(code) => code,
        })
    }

    fn IOConnectSetNotificationPort(connect: u32, kind: u32, port: u32, reference: usize) -> Kern {
        set_notification_port(connect, kind, port, reference)
    }

    fn IOConnectAddClient(connect: u32, client: u32) -> Kern {
        let client = match port::lookup(client) {
            Some(Kind::Connection(client)) => Some(client.connection.id()),
            _ => None,
        };
        ask(connect, |connect| connect.add_client(client))
    }

    fn IOConnectSetCFProperties(connect: u32, properties: CfRef) -> Kern {
        set_properties(connect, to_value(properties))
    }

    fn IOConnectSetCFProperty(connect: u32, name: CfRef, value: CfRef) -> Kern {
        let pair = text_of(name).zip(to_value(value));
        set_properties(connect, pair.map(|pair| Value::Dictionary(BTreeMap::from([pair]))))
    }

    fn IOConnectTrap0(connect: u32, index: u32) -> Kern {
        trap(connect, index, &[])
    }

    fn IOConnectTrap1(connect: u32, index: u32, a: usize) -> Kern {
        trap(connect, index, &[a])
    }

    fn IOConnectTrap2(connect: u32, index: u32, a: usize, b: usize) -> Kern {
        trap(connect, index, &[a, b])
    }

    fn IOConnectTrap3(connect: u32, index: u32, a: usize, b: usize, c: usize) -> Kern {
        trap(connect, index, &[a, b, c])
    }

    fn IOConnectTrap4(connect: u32, index: u32, a: usize, b: usize, c: usize, d: usize) -> Kern {
        trap(connect, index, &[a, b, c, d])
    }

    fn IOConnectTrap5(
        connect: u32,
        index: u32,
        a: usize,
        b: usize,
        c: usize,
        d: usize,
        e: usize,
    ) -> Kern {
        trap(connect, index, &[a, b, c, d, e])
    }

    fn IOConnectTrap6(
        connect: u32,
        index: u32,
        a: usize,
        b: usize,
        c: usize,
        d: usize,
        e: usize,
        f: usize,
    ) -> Kern {
        trap(connect, index, &[a, b, c, d, e, f])
    }
}
