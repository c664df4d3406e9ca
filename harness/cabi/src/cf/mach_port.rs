//! `CFMachPort`.

use super::object::{Body, CfRef, Owned, TypeId, type_id};
use super::run_loop::{PortCallout, Source};
use crate::mach::Name;
use crate::port::{self, Port};
use crate::raw::{In, Out};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

type Callout = extern "C-unwind" fn(CfRef, *const u8, isize, usize);

/// A port with what is to be called for its messages.
#[derive(Debug)]
struct MachPort {
    name: u32,
    port: Arc<Port>,
    callout: Callout,
    info: usize,
    valid: AtomicBool,
    sources: Mutex<Vec<Owned>>,
}

impl MachPort {
    fn of<'a>(reference: CfRef) -> &'a Self {
        reference.object().body.other().unwrap_or_else(|| crate::fault::fault())
    }

    fn make(name: u32, callout: Callout, context: In<usize>, frees: Out<u8>) -> CfRef {
        frees.write(0);
        let Some(port) = port::port_of(name) else { return CfRef::NULL };
        let info = if context.is_null() { 0 } else { context.read_at(1) };
        let (valid, sources) = (AtomicBool::new(true), Mutex::default());
        let made = Self { name, port, callout, info, valid, sources };
        Owned::make(Body::Other(type_id::MACH_PORT, Box::new(made))).give()
    }
}

export! {
    fn CFMachPortGetTypeID() -> TypeId {
        type_id::MACH_PORT
    }

    fn CFMachPortCreate(_allocator: CfRef, callout: Callout, context: In<usize>, frees: Out<u8>) -> CfRef {
        let Some((name, _)) = port::allocate_receive() else { return CfRef::NULL };
        let _ = port::insert_send(name);
        MachPort::make(name, callout, context, frees)
    }

    fn CFMachPortCreateWithPort(
        _allocator: CfRef,
        name: u32,
        callout: Callout,
        context: In<usize>,
        frees: Out<u8>,
    ) -> CfRef {
        MachPort::make(name, callout, context, frees)
    }

    fn CFMachPortGetPort(port: CfRef) -> Name {
        Name::from(MachPort::of(port).name)
    }

    fn CFMachPortInvalidate(port: CfRef) {
        let port = MachPort::of(port);
        port.valid.store(false, Ordering::Release);
        let sources =
            std::mem::take(&mut *port.sources.lock().unwrap_or_else(PoisonError::into_inner));
        sources.iter().for_each(|source| Source::of(source.get()).invalidate());
    }

    fn CFMachPortIsValid(port: CfRef) -> u8 {
        let port = MachPort::of(port);
        u8::from(port.valid.load(Ordering::Acquire) && !port.port.is_dead())
    }

    fn CFMachPortCreateRunLoopSource(_allocator: CfRef, port: CfRef, _order: isize) -> CfRef {
        let made = MachPort::of(port);
        let callout = PortCallout::Client { function: made.callout, port, info: made.info };
        let source = Source::of_port(&made.port, callout);
        made.sources.lock().unwrap_or_else(PoisonError::into_inner).push(source.clone());
        source.give()
    }
}
