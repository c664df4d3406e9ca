//! `IOConnect*`: calls, rights, and what else can be asked of a connection.

use super::call::{Arguments, Wake};
use super::service::destination;
use crate::cf::{CfRef, to_value};
use crate::mach::{KERN_SUCCESS, Kern};
use crate::port::{self, Kind};
use crate::raw::{In, Out};
use dextape::IoReturn;
use dextape::boundary::Rules;
use dextape::boundary::library::rights_dropped_by_close;

/// Closes a connection and drops a right of it, whatever comes of the close (G12).
pub(super) fn close(connect: u32) -> IoReturn {
    let rules = Rules::all();
    let (destination, found) = destination(connect);
    let result = match (destination.check(rules), found) {
        (Ok(()), Some(found)) => {
            super::mapping::look(&found);
            found.connection.close()
        }
        (Ok(()), None) => IoReturn::MACH_SEND_INVALID_DEST,
        (Err(code), _) => code,
    };
    for _ in 0..rights_dropped_by_close(rules, result) {
        let _ = port::deallocate(connect);
    }
    super::forget_ended();
    result
}

/// Another right of whatever has a name.
pub(super) fn retain(name: u32) -> IoReturn {
    port::retain(name)
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

/// Whether there is a connection to ask; its own answer is `answer`.
fn ask(connect: u32, answer: impl FnOnce() -> IoReturn) -> Kern {
    let (destination, _) = destination(connect);
    match destination.check(Rules::all()) {
        Ok(()) => answer(),
        Err(code) => code,
    }
    .as_kern_return()
}

fn trap(connect: u32, index: u32) -> Kern {
    let (destination, found) = destination(connect);
    if let Err(code) = destination.check_trap(Rules::all()) {
        return code.as_kern_return();
    }
    let _ = (index, found);
    // No dext has a trap, and none is refused (G20).
    KERN_SUCCESS
}

/// Serialised properties beyond which the kernel does not look (G19).
const PROPERTIES_MAX: usize = 4 << 20;

fn set_properties(connect: u32, properties: CfRef) -> Kern {
    let Some(value) = to_value(properties) else { return IoReturn::UNSUPPORTED.as_kern_return() };
    ask(connect, || {
        if format!("{value:?}").len() > PROPERTIES_MAX {
            IoReturn::MESSAGE_TOO_LARGE
        } else {
            IoReturn::UNSUPPORTED
        }
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
        retain(connect).as_kern_return()
    }

    fn IOConnectRelease(connect: u32) -> Kern {
        let result = port::deallocate(connect);
        super::forget_ended();
        result.as_kern_return()
    }

    fn IOConnectGetService(connect: u32, service: Out<u32>) -> Kern {
        let _untouched = service;
        ask(connect, || IoReturn::UNSUPPORTED)
    }

    fn IOConnectSetNotificationPort(connect: u32, _kind: u32, _port: u32, _reference: usize) -> Kern {
        ask(connect, || IoReturn::UNSUPPORTED)
    }

    fn IOConnectAddClient(connect: u32, client: u32) -> Kern {
        let is_connection = matches!(port::lookup(client), Some(Kind::Connection(_)));
        ask(connect, || {
            if is_connection { IoReturn::UNSUPPORTED } else { IoReturn::BAD_ARGUMENT }
        })
    }

    fn IOConnectSetCFProperties(connect: u32, properties: CfRef) -> Kern {
        set_properties(connect, properties)
    }

    fn IOConnectSetCFProperty(connect: u32, _name: CfRef, value: CfRef) -> Kern {
        set_properties(connect, value)
    }

    fn IOConnectTrap0(connect: u32, index: u32) -> Kern {
        trap(connect, index)
    }

    fn IOConnectTrap1(connect: u32, index: u32, _a: usize) -> Kern {
        trap(connect, index)
    }

    fn IOConnectTrap2(connect: u32, index: u32, _a: usize, _b: usize) -> Kern {
        trap(connect, index)
    }

    fn IOConnectTrap3(connect: u32, index: u32, _a: usize, _b: usize, _c: usize) -> Kern {
        trap(connect, index)
    }

    fn IOConnectTrap4(connect: u32, index: u32, _a: usize, _b: usize, _c: usize, _d: usize) -> Kern {
        trap(connect, index)
    }

    fn IOConnectTrap5(
        connect: u32,
        index: u32,
        _a: usize,
        _b: usize,
        _c: usize,
        _d: usize,
        _e: usize,
    ) -> Kern {
        trap(connect, index)
    }

    fn IOConnectTrap6(
        connect: u32,
        index: u32,
        _a: usize,
        _b: usize,
        _c: usize,
        _d: usize,
        _e: usize,
        _f: usize,
    ) -> Kern {
        trap(connect, index)
    }
}
