//! Notification ports, and the thread that receives on one.

use io_kit_sys::{
    IONotificationPortCreate, IONotificationPortDestroy, IONotificationPortGetMachPort,
    IONotificationPortRef, kIOMasterPortDefault,
};
use mach2::kern_return::KERN_SUCCESS;
use mach2::message::{
    MACH_MSG_TYPE_MAKE_SEND, MACH_MSGH_BITS, MACH_RCV_INTERRUPTED, MACH_RCV_MSG,
    MACH_RCV_TOO_LARGE, MACH_SEND_MSG, MACH_SEND_TIMEOUT, mach_msg, mach_msg_destroy,
    mach_msg_header_t, mach_msg_size_t,
};
use mach2::port::{MACH_PORT_DEAD, MACH_PORT_NULL, mach_port_t};
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::super::message::NOTIFICATION_ID;

/// An `IONotificationPort`: a receive right that the kernel sends completions and notices to.
pub(super) struct Port(NonNull<io_kit_sys::IONotificationPort>);

// SAFETY: the functions used on it (its name, an addition of a notification, its end) may be called
// from any thread, and the end comes once, in `drop`.
unsafe impl Send for Port {}
// SAFETY: as for `Send`; the value itself never changes.
unsafe impl Sync for Port {}

impl Port {
    /// A new port; `None` where the task can have no more.
    pub(super) fn new() -> Option<Self> {
        // SAFETY: a constant of the library.
        let main_port = unsafe { kIOMasterPortDefault };
        // SAFETY: creates a port of its own.
        NonNull::new(unsafe { IONotificationPortCreate(main_port) }).map(Self)
    }

    pub(super) fn raw(&self) -> IONotificationPortRef {
        self.0.as_ptr()
    }

    /// The name of the receive right.
    pub(super) fn name(&self) -> mach_port_t {
        // SAFETY: the port lives as long as `self`.
        unsafe { IONotificationPortGetMachPort(self.raw()) }
    }

    /// Sends the port a message that means nothing, so that a receiver wakes up.
    fn nudge(&self) {
        let size = size_of::<mach_msg_header_t>() as mach_msg_size_t;
        let mut header = mach_msg_header_t {
            msgh_bits: MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, 0),
            msgh_size: size,
            msgh_remote_port: self.name(),
            ..mach_msg_header_t::default()
        };
        // Where the port is full the receiver has enough to wake up for.
        let options = MACH_SEND_MSG | MACH_SEND_TIMEOUT;
        // SAFETY: a whole header without a body, to a port of our own.
        unsafe { mach_msg(&raw mut header, options, size, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL) };
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // SAFETY: the port is this value's own, and this is its end; what comes later is
        // discarded (D19).
        unsafe { IONotificationPortDestroy(self.raw()) }
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Port").field(&self.name()).finish()
    }
}

/// Longest message that IOKit sends to a notification port, in bytes (D22), and its trailer.
const MESSAGE_MAX: usize = 8192 + 128;

/// A received message.
#[repr(C, align(8))]
pub(super) struct Message {
    header: mach_msg_header_t,
    body: [u8; MESSAGE_MAX - size_of::<mach_msg_header_t>()],
}

impl Message {
    fn empty() -> Box<Self> {
        let header = mach_msg_header_t::default();
        Box::new(Self { header, body: [0; MESSAGE_MAX - size_of::<mach_msg_header_t>()] })
    }

    /// The bytes that the header speaks of.
    pub(super) fn bytes(&self) -> &[u8] {
        let length = (self.header.msgh_size as usize).min(size_of::<Self>());
        // SAFETY: header and body lie together without padding, all of it initialised.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), length) }
    }

    /// True for the only messages that IOKit's own dispatcher looks at (D16).
    pub(super) fn is_notification(&self) -> bool {
        self.header.msgh_id == NOTIFICATION_ID
    }

    /// The whole message by its header: who gets it goes on into the body.
    pub(super) fn header(&mut self) -> *mut mach_msg_header_t {
        std::ptr::from_mut(self).cast()
    }
}

/// A thread that receives the messages of a port, in their order, until it is dropped.
///
/// A thread of its own, and not the client's, receives: so blocking waits, polls and wakers of one
/// queue all see one order, and a waker needs no run loop.
#[derive(Debug)]
pub(super) struct Receiver {
    port: Option<Arc<Port>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Receives on `port` and hands each message to `deliver`, which takes over the rights in it.
    /// Where the task can have no more ports or threads nothing is ever received.
    pub(super) fn start(
        port: Option<Arc<Port>>,
        mut deliver: impl FnMut(&mut Message) + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = port.clone().and_then(|port| {
            let stop = Arc::clone(&stop);
            let builder = std::thread::Builder::new().name("dextape notifications".to_owned());
            builder
                .spawn(move || {
                    let mut message = Message::empty();
                    while receive(&port, &mut message) && !stop.load(Ordering::Acquire) {
                        deliver(&mut message);
                    }
                })
                .ok()
        });
        Self { port, stop, thread }
    }

    /// Name of the port; that of a dead one where there is none, so that the kernel itself refuses.
    pub(super) fn name(&self) -> mach_port_t {
        match (&self.port, &self.thread) {
            (Some(port), Some(_)) => port.name(),
            _ => MACH_PORT_DEAD,
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let (Some(port), Some(thread)) = (&self.port, self.thread.take()) {
            port.nudge();
            // A panic of the thread has been printed where it happened.
            drop(thread.join());
        }
    }
}

/// Waits for the next message. False where the port is gone.
fn receive(port: &Port, message: &mut Message) -> bool {
    loop {
        let size = size_of::<Message>() as mach_msg_size_t;
        let name = port.name();
        // SAFETY: the room is as large as stated and aligned for a message.
        let result =
            unsafe { mach_msg(message.header(), MACH_RCV_MSG, 0, size, name, 0, MACH_PORT_NULL) };
        match result {
            KERN_SUCCESS => return true,
            // Interrupted by a signal, or longer than anything that IOKit sends and so discarded.
            MACH_RCV_INTERRUPTED | MACH_RCV_TOO_LARGE => {}
            _ => return false,
        }
    }
}

/// Gives up the rights that a message nobody wants carries.
pub(super) fn discard(message: &mut Message) {
    // SAFETY: a message as the kernel wrote it, whose rights nobody has taken over.
    unsafe { mach_msg_destroy(message.header()) }
}
