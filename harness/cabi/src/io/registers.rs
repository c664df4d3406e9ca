//! Memory that a client reaches by functions: registers, which a raw pointer would pass by.
//!
//! Only a program that was compiled with `dextape/memory.h` gets registers mapped at all. The address that
//! it gets is one of its own, where nothing may be touched: whoever does without the functions faults. An
//! access by a function is a sync point of all that the client shares with a device: what it wrote is
//! there before its doorbell rings, and what came of it is there when the device says so.

use super::{lent, mapping};
use crate::raw::{In, Out};
use dextape::memory::{AccessError, Memory, Width};
use std::sync::atomic::{AtomicBool, Ordering};

/// The program knows the functions.
static KNOWN: AtomicBool = AtomicBool::new(false);

/// True where this program reaches registers by functions.
pub(super) fn are_reached_by_functions() -> bool {
    KNOWN.load(Ordering::Relaxed)
}

/// Reads `width` at `address` of a register, or `None` where the client's own access is to happen there:
/// in memory of another kind, and where a register cannot be reached, which is a fault then.
fn load(address: u64, width: Width) -> Option<u64> {
    let (memory, offset) = mapping::reached_by_functions(address)?;
    lent::take_all();
    let word = memory.load_word(offset, width).ok();
    lent::show_all();
    mapping::look_all();
    word
}

/// Writes in the same way; false where the client's own access is to happen.
fn store(address: u64, width: Width, value: u64) -> bool {
    accessed(address, |memory, offset| memory.store_word(offset, width, value))
}

/// An access to a register at `address`; false where there is none, or where it cannot be made.
fn accessed(
    address: u64,
    access: impl FnOnce(&dyn Memory, u64) -> Result<(), AccessError>,
) -> bool {
    let Some((memory, offset)) = mapping::reached_by_functions(address) else { return false };
    lent::take_all();
    let done = access(&*memory, offset).is_ok();
    lent::show_all();
    mapping::look_all();
    done
}

/// Room for so many bytes of the memory, which may not be more than it has.
fn room(memory: &dyn Memory, size: usize) -> Result<Vec<u8>, AccessError> {
    let (length, size) = (size as u64, memory.size());
    if length > size {
        return Err(AccessError::OutOfRange { offset: 0, length, size });
    }
    Ok(vec![0; length as usize])
}

/// Copies what is ordinary memory on both sides.
fn copy(to: Out<u8>, from: In<u8>, size: usize) {
    let mut part = [0; 4096];
    for at in (0..size).step_by(part.len()) {
        let part = &mut part[..(size - at).min(4096)];
        In::<u8>::at(from.address() + at as u64).copy_to(part);
        Out::<u8>::at(to.address() + at as u64).copy_from(part);
    }
}

macro_rules! accesses {
    ($($load:ident, $store:ident, $word:ty, $width:expr;)*) => {
        export! {$(
            fn $load(address: In<$word>) -> $word {
                // The width's low bits are all there are.
                load(address.address(), $width).map_or_else(|| address.read_at(0), |word| word as $word)
            }

            fn $store(address: Out<$word>, value: $word) {
                if !store(address.address(), $width, u64::from(value)) {
                    address.put(value);
                }
            }
        )*}
    };
}

accesses! {
    dextape_load8, dextape_store8, u8, Width::One;
    dextape_load16, dextape_store16, u16, Width::Two;
    dextape_load32, dextape_store32, u32, Width::Four;
    dextape_load64, dextape_store64, u64, Width::Eight;
}

export! {
    fn dextape_copy_from(to: Out<u8>, from: In<u8>, size: usize) {
        let read = accessed(from.address(), |memory, offset| {
            let mut bytes = room(memory, size)?;
            memory.copy_out(offset, &mut bytes)?;
            to.copy_from(&bytes);
            Ok(())
        });
        if !read {
            copy(to, from, size);
        }
    }

    fn dextape_copy_to(to: Out<u8>, from: In<u8>, size: usize) {
        let written = accessed(to.address(), |memory, offset| {
            let mut bytes = room(memory, size)?;
            from.copy_to(&mut bytes);
            memory.copy_in(offset, &bytes)
        });
        if !written {
            copy(to, from, size);
        }
    }

    fn dextape_share(address: In<u8>, size: usize) -> i32 {
        if address.is_null() || size == 0 {
            return -1;
        }
        lent::share(address.address(), size as u64);
        0
    }

    fn dextape_has_accessors() {
        KNOWN.store(true, Ordering::Relaxed);
    }
}
