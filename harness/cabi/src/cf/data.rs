//! `CFData`.

use super::object::{Body, CfRef, Index, Owned, Range, TypeId, type_id};
use crate::raw::{In, Out};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

fn bytes<'a>(data: CfRef) -> Option<RwLockReadGuard<'a, Vec<u8>>> {
    match &data.object().body {
        Body::Data(bytes) => Some(bytes.read().unwrap_or_else(PoisonError::into_inner)),
        _ => None,
    }
}

fn bytes_mut<'a>(data: CfRef) -> Option<RwLockWriteGuard<'a, Vec<u8>>> {
    match &data.object().body {
        Body::Data(bytes) => Some(bytes.write().unwrap_or_else(PoisonError::into_inner)),
        _ => None,
    }
}

/// The bytes of data, whoever has them; `None` for what is none.
pub(super) fn copied(data: CfRef) -> Option<Vec<u8>> {
    match &data.object().body {
        Body::Data(bytes) => Some(bytes.read().unwrap_or_else(PoisonError::into_inner).clone()),
        Body::Borrowed(address, length) => Some(In::<u8>::at(*address).to_vec(*length)),
        _ => None,
    }
}

fn make(bytes: Vec<u8>) -> CfRef {
    Owned::make(Body::Data(RwLock::new(bytes))).give()
}

export! {
    fn CFDataGetTypeID() -> TypeId {
        type_id::DATA
    }

    fn CFDataCreate(_allocator: CfRef, from: In<u8>, length: Index) -> CfRef {
        make(from.to_vec(usize::try_from(length).unwrap_or(0)))
    }

    /// The bytes stay the client's, also when the object goes: nothing is told of its allocators here.
    fn CFDataCreateWithBytesNoCopy(
        _allocator: CfRef,
        from: In<u8>,
        length: Index,
        _deallocator: CfRef,
    ) -> CfRef {
        let length = usize::try_from(length).unwrap_or(0);
        Owned::make(Body::Borrowed(from.address(), length)).give()
    }

    fn CFDataCreateCopy(_allocator: CfRef, data: CfRef) -> CfRef {
        make(copied(data).unwrap_or_default())
    }

    fn CFDataCreateMutable(_allocator: CfRef, _capacity: Index) -> CfRef {
        make(Vec::new())
    }

    fn CFDataCreateMutableCopy(_allocator: CfRef, _capacity: Index, data: CfRef) -> CfRef {
        make(copied(data).unwrap_or_default())
    }

    fn CFDataAppendBytes(data: CfRef, from: In<u8>, length: Index) {
        let more = from.to_vec(usize::try_from(length).unwrap_or(0));
        if let Some(mut bytes) = bytes_mut(data) {
            bytes.extend_from_slice(&more);
        }
    }

    fn CFDataSetLength(data: CfRef, length: Index) {
        if let (Some(mut bytes), Ok(length)) = (bytes_mut(data), usize::try_from(length)) {
            bytes.resize(length, 0);
        }
    }

    fn CFDataGetLength(data: CfRef) -> Index {
        match data.object().body {
            Body::Borrowed(_, length) => length as Index,
            _ => bytes(data).map_or(0, |bytes| bytes.len() as Index),
        }
    }

    fn CFDataGetBytePtr(data: CfRef) -> *const u8 {
        match data.object().body {
            Body::Borrowed(address, _) => std::ptr::with_exposed_provenance(address as usize),
            _ => bytes(data).map_or(std::ptr::null(), |bytes| bytes.as_ptr()),
        }
    }

    fn CFDataGetMutableBytePtr(data: CfRef) -> *mut u8 {
        bytes_mut(data).map_or(std::ptr::null_mut(), |mut bytes| bytes.as_mut_ptr())
    }

    fn CFDataGetBytes(data: CfRef, range: Range, to: Out<u8>) {
        let start = usize::try_from(range.location).unwrap_or(usize::MAX);
        let length = usize::try_from(range.length).unwrap_or(0);
        let part = copied(data).and_then(|bytes| {
            bytes.get(start..start.checked_add(length)?).map(<[u8]>::to_vec)
        });
        if let Some(part) = part {
            to.copy_from(&part);
        }
    }
}
