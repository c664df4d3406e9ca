//! `mach_msg`: sending between the client's own ports, and receiving.

use super::{
    KERN_SUCCESS, Kern, MACH_RCV_INVALID_NAME, MACH_RCV_PORT_DIED, MACH_RCV_TIMED_OUT,
    MACH_RCV_TOO_LARGE, MACH_SEND_INVALID_DEST, MACH_SEND_INVALID_HEADER, MACH_SEND_MSG_TOO_SMALL,
};
use crate::port::{self, Received, receive};
use crate::raw::{In, Out};
use dextape::IoReturn;
use dextape::coverage::rules;
use std::time::{Duration, Instant};

/// Options of `mach_msg`.
mod option {
    pub(super) const SEND: i32 = 1;
    pub(super) const RECEIVE: i32 = 2;
    pub(super) const RECEIVE_LARGE: i32 = 4;
    pub(super) const RECEIVE_TIMEOUT: i32 = 0x100;
}

/// Bytes of a header.
const HEADER: usize = 24;

/// Bytes of the trailer that every received message has; there must be room for it.
const TRAILER: usize = 8;

/// The most that a client's message may have.
const MESSAGE_MAX: usize = 1 << 20;

fn send(message: In<u8>, size: u32) -> Kern {
    let size = size as usize;
    if size < HEADER {
        return MACH_SEND_MSG_TOO_SMALL;
    }
    if size > MESSAGE_MAX {
        return MACH_SEND_INVALID_HEADER;
    }
    let mut bytes = message.to_vec(size);
    let word = |bytes: &[u8], at: usize| {
        u32::from_ne_bytes(bytes[at..].first_chunk().copied().unwrap_or_default())
    };
    let (bits, to, reply) = (word(&bytes, 0), word(&bytes, 8), word(&bytes, 12));
    let Some(port) =
        port::send_port(to).or_else(|| port::port_of(to).filter(|_| bits & 0xff == 20))
    else {
        return MACH_SEND_INVALID_DEST;
    };
    if let Err(refused) = carried(bits, &bytes) {
        return refused.as_kern_return();
    }
    // As the receiver sees it: where it came to, and where a reply goes.
    let mut put = |at: usize, word: u32| bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    put(0, bits & !0xffff | (bits & 0xff) << 8 | (bits >> 8 & 0xff));
    put(4, size as u32);
    put(8, reply);
    put(12, to);
    if port.send(bytes) { KERN_SUCCESS } else { MACH_SEND_INVALID_DEST }
}

/// Whether the ports that a message carries may leave this task: a connection may not (G22).
fn carried(bits: u32, message: &[u8]) -> Result<(), IoReturn> {
    if bits & COMPLEX == 0 {
        return Ok(());
    }
    let word = |at: usize| {
        let bytes = message.get(at..).and_then(<[u8]>::first_chunk).copied();
        bytes.map(u32::from_ne_bytes)
    };
    let mut at = HEADER + 4;
    for _ in 0..word(HEADER).unwrap_or(0) {
        let Some(kind) = word(at + 8).map(|word| word >> 24) else { break };
        if kind != PORT_DESCRIPTOR {
            at += LONG_DESCRIPTOR;
            continue;
        }
        let (destination, _) = crate::io::destination(word(at).unwrap_or(0));
        destination.check_carried(rules())?;
        at += SHORT_DESCRIPTOR;
    }
    Ok(())
}

/// `MACH_MSGH_BITS_COMPLEX`: the message carries more than bytes.
const COMPLEX: u32 = 0x8000_0000;

/// `MACH_MSG_PORT_DESCRIPTOR`.
const PORT_DESCRIPTOR: u32 = 0;

/// Bytes of a port's descriptor, and of any other's.
const SHORT_DESCRIPTOR: usize = 12;
const LONG_DESCRIPTOR: usize = 16;

fn receive_into(message: Out<u8>, options: i32, room: u32, name: u32, timeout: u32) -> Kern {
    let Some(port) = port::port_of(name) else { return MACH_RCV_INVALID_NAME };
    let limited = options & option::RECEIVE_TIMEOUT != 0;
    let timeout = Duration::from_millis(u64::from(timeout));
    let deadline = limited.then(|| Instant::now() + timeout);
    let received = receive(&port, deadline);
    drop(port);
    let bytes = match received {
        Received::Message(bytes) => bytes,
        Received::TimedOut => return MACH_RCV_TIMED_OUT,
        Received::Died => return MACH_RCV_PORT_DIED,
    };
    if bytes.len() + TRAILER > room as usize {
        if room as usize >= HEADER {
            message.copy_from(&bytes[..HEADER]);
        }
        if options & option::RECEIVE_LARGE != 0
            && let Some(port) = port::port_of(name)
        {
            port.put_back(bytes);
        }
        return MACH_RCV_TOO_LARGE;
    }
    message.copy_from(&bytes);
    // Of the plain format and just that size.
    let trailer = [0_u32, TRAILER as u32];
    for (index, word) in trailer.into_iter().enumerate() {
        Out::<u32>::at(message.address() + bytes.len() as u64).write_at(index, word);
    }
    KERN_SUCCESS
}

export! {
    fn mach_msg(
        message: Out<u8>,
        options: i32,
        send_size: u32,
        receive_size: u32,
        receive_name: u32,
        timeout: u32,
        _notify: u32,
    ) -> Kern {
        if options & option::SEND != 0 {
            let sent = send(message.as_in(), send_size);
            if sent != KERN_SUCCESS {
                return sent;
            }
        }
        if options & option::RECEIVE == 0 {
            return KERN_SUCCESS;
        }
        receive_into(message, options, receive_size, receive_name, timeout)
    }

    fn mach_msg_destroy(_message: Out<u8>) {
        // No message here carries rights.
    }
}
