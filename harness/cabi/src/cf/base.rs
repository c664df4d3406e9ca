//! What every object can do.

use super::compare;
use super::describe::describe;
use super::object::{Body, CfRef, Index, Owned, TypeId, type_id};

export! {
    fn CFRetain(object: CfRef) -> CfRef {
        object.retain();
        object
    }

    fn CFRelease(object: CfRef) {
        if object.is_null() {
            crate::fault::fault();
        }
        object.release();
    }

    fn CFAutorelease(object: CfRef) -> CfRef {
        // There is no pool here: it stays.
        object
    }

    fn CFGetRetainCount(object: CfRef) -> Index {
        object.references() as Index
    }

    fn CFGetTypeID(object: CfRef) -> TypeId {
        object.object().body.type_id()
    }

    fn CFEqual(a: CfRef, b: CfRef) -> u8 {
        u8::from(compare::equal(a, b))
    }

    fn CFHash(object: CfRef) -> usize {
        compare::hash(object)
    }

    fn CFShow(object: CfRef) {
        let text = describe(object);
        eprintln!("{text}");
    }

    fn CFCopyDescription(object: CfRef) -> CfRef {
        Owned::make(Body::string(describe(object).as_bytes())).give()
    }

    fn CFNullGetTypeID() -> TypeId {
        type_id::NULL
    }

    fn CFAllocatorGetTypeID() -> TypeId {
        type_id::ALLOCATOR
    }

    fn CFAllocatorGetDefault() -> CfRef {
        CfRef::NULL
    }
}
