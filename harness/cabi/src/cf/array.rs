//! `CFArray` and `CFSet`.

use super::compare::equal;
use super::constants::CallBacks;
use super::object::{Body, CfRef, Index, Item, Owned, Range, TypeId, type_id};
use crate::raw::{In, Out};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

type Items = Vec<Item>;

fn items<'a>(array: CfRef) -> Option<RwLockReadGuard<'a, Items>> {
    match &array.object().body {
        Body::Array(items) | Body::Set(items) => {
            Some(items.read().unwrap_or_else(PoisonError::into_inner))
        }
        _ => None,
    }
}

fn items_mut<'a>(array: CfRef) -> Option<RwLockWriteGuard<'a, Items>> {
    match &array.object().body {
        Body::Array(items) | Body::Set(items) => {
            Some(items.write().unwrap_or_else(PoisonError::into_inner))
        }
        _ => None,
    }
}

/// What the client lists. Without callbacks they are words of its own.
fn listed(values: In<CfRef>, count: Index, call_backs: In<CallBacks>) -> Items {
    let count = usize::try_from(count).unwrap_or(0);
    let retains = !call_backs.is_null();
    (0..count).map(|index| Item::new(values.read_at(index), retains)).collect()
}

/// A value that comes into a collection retains as what is there does; an empty one retains objects.
fn item_like(items: &[Item], value: CfRef) -> Item {
    let retains = !matches!(items.first(), Some(Item::Word(_)));
    Item::new(value, retains)
}

export! {
    fn CFArrayGetTypeID() -> TypeId {
        type_id::ARRAY
    }

    fn CFArrayCreate(_allocator: CfRef, values: In<CfRef>, count: Index, call_backs: In<CallBacks>) -> CfRef {
        Owned::make(Body::Array(RwLock::new(listed(values, count, call_backs)))).give()
    }

    fn CFArrayCreateMutable(_allocator: CfRef, _capacity: Index, _call_backs: In<CallBacks>) -> CfRef {
        Owned::make(Body::Array(RwLock::default())).give()
    }

    fn CFArrayCreateCopy(_allocator: CfRef, array: CfRef) -> CfRef {
        let copy = items(array).map(|items| items.clone()).unwrap_or_default();
        Owned::make(Body::Array(RwLock::new(copy))).give()
    }

    fn CFArrayAppendValue(array: CfRef, value: CfRef) {
        if let Some(mut items) = items_mut(array) {
            let item = item_like(&items, value);
            items.push(item);
        }
    }

    fn CFArrayInsertValueAtIndex(array: CfRef, index: Index, value: CfRef) {
        if let (Some(mut items), Ok(index)) = (items_mut(array), usize::try_from(index))
            && index <= items.len()
        {
            let item = item_like(&items, value);
            items.insert(index, item);
        }
    }

    fn CFArrayRemoveValueAtIndex(array: CfRef, index: Index) {
        let removed = items_mut(array).and_then(|mut items| {
            let index = usize::try_from(index).ok().filter(|index| *index < items.len())?;
            Some(items.remove(index))
        });
        drop(removed);
    }

    fn CFArrayRemoveAllValues(array: CfRef) {
        let removed = items_mut(array).map(|mut items| std::mem::take(&mut *items));
        drop(removed);
    }

    fn CFArrayGetCount(array: CfRef) -> Index {
        items(array).map_or(0, |items| items.len() as Index)
    }

    fn CFArrayGetValueAtIndex(array: CfRef, index: Index) -> CfRef {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        items(array).and_then(|items| items.get(index).map(Item::word)).unwrap_or(CfRef::NULL)
    }

    fn CFArrayContainsValue(array: CfRef, _range: Range, value: CfRef) -> u8 {
        let found = |items: RwLockReadGuard<'_, Items>| items.iter().any(|item| equal(item.word(), value));
        u8::from(items(array).is_some_and(found))
    }

    fn CFSetGetTypeID() -> TypeId {
        type_id::SET
    }

    fn CFSetCreate(_allocator: CfRef, values: In<CfRef>, count: Index, call_backs: In<CallBacks>) -> CfRef {
        Owned::make(Body::Set(RwLock::new(listed(values, count, call_backs)))).give()
    }

    fn CFSetCreateMutable(_allocator: CfRef, _capacity: Index, _call_backs: In<CallBacks>) -> CfRef {
        Owned::make(Body::Set(RwLock::default())).give()
    }

    fn CFSetAddValue(set: CfRef, value: CfRef) {
        if let Some(mut items) = items_mut(set)
            && !items.iter().any(|item| equal(item.word(), value))
        {
            let item = item_like(&items, value);
            items.push(item);
        }
    }

    fn CFSetContainsValue(set: CfRef, value: CfRef) -> u8 {
        let found = |items: RwLockReadGuard<'_, Items>| items.iter().any(|item| equal(item.word(), value));
        u8::from(items(set).is_some_and(found))
    }

    fn CFSetGetCount(set: CfRef) -> Index {
        items(set).map_or(0, |items| items.len() as Index)
    }

    fn CFSetGetValues(set: CfRef, to: Out<CfRef>) {
        let values: Vec<_> =
            items(set).map(|items| items.iter().map(Item::word).collect()).unwrap_or_default();
        to.copy_from(&values);
    }
}
