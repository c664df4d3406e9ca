//! `CFDictionary`.

use super::compare::equal;
use super::constants::CallBacks;
use super::object::{Body, CfRef, Index, Item, Owned, TypeId, type_id};
use crate::raw::{In, Out};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

type Pairs = Vec<(Item, Item)>;

pub(super) fn pairs<'a>(dictionary: CfRef) -> Option<RwLockReadGuard<'a, Pairs>> {
    match &dictionary.object().body {
        Body::Dictionary(pairs) => Some(pairs.read().unwrap_or_else(PoisonError::into_inner)),
        _ => None,
    }
}

fn pairs_mut<'a>(dictionary: CfRef) -> Option<RwLockWriteGuard<'a, Pairs>> {
    match &dictionary.object().body {
        Body::Dictionary(pairs) => Some(pairs.write().unwrap_or_else(PoisonError::into_inner)),
        _ => None,
    }
}

fn find(pairs: &Pairs, key: CfRef) -> Option<usize> {
    pairs.iter().position(|(held, _)| equal(held.word(), key))
}

/// Values that go into a dictionary retain as those that are there do; an empty one retains objects.
fn retains(pairs: &Pairs) -> (bool, bool) {
    let word = |item: &Item| matches!(item, Item::Word(_));
    pairs.first().map_or((true, true), |(key, value)| (!word(key), !word(value)))
}

fn put(dictionary: CfRef, key: CfRef, value: CfRef, replaces: bool) {
    let Some(mut pairs) = pairs_mut(dictionary) else { return };
    let (keys, values) = retains(&pairs);
    match find(&pairs, key) {
        Some(place) if replaces => {
            let old = std::mem::replace(&mut pairs[place].1, Item::new(value, values));
            drop(pairs);
            drop(old);
        }
        Some(_) => {}
        None => pairs.push((Item::new(key, keys), Item::new(value, values))),
    }
}

fn copy(dictionary: CfRef) -> CfRef {
    let copy = pairs(dictionary).map(|pairs| pairs.clone()).unwrap_or_default();
    Owned::make(Body::Dictionary(RwLock::new(copy))).give()
}

export! {
    fn CFDictionaryGetTypeID() -> TypeId {
        type_id::DICTIONARY
    }

    fn CFDictionaryCreate(
        _allocator: CfRef,
        keys: In<CfRef>,
        values: In<CfRef>,
        count: Index,
        key_call_backs: In<CallBacks>,
        value_call_backs: In<CallBacks>,
    ) -> CfRef {
        let count = usize::try_from(count).unwrap_or(0);
        let pair = |index| {
            let key = Item::new(keys.read_at(index), !key_call_backs.is_null());
            (key, Item::new(values.read_at(index), !value_call_backs.is_null()))
        };
        Owned::make(Body::Dictionary(RwLock::new((0..count).map(pair).collect()))).give()
    }

    fn CFDictionaryCreateMutable(
        _allocator: CfRef,
        _capacity: Index,
        _key_call_backs: In<CallBacks>,
        _value_call_backs: In<CallBacks>,
    ) -> CfRef {
        Owned::make(Body::Dictionary(RwLock::default())).give()
    }

    fn CFDictionaryCreateCopy(_allocator: CfRef, dictionary: CfRef) -> CfRef {
        copy(dictionary)
    }

    fn CFDictionaryCreateMutableCopy(_allocator: CfRef, _capacity: Index, dictionary: CfRef) -> CfRef {
        copy(dictionary)
    }

    fn CFDictionarySetValue(dictionary: CfRef, key: CfRef, value: CfRef) {
        put(dictionary, key, value, true);
    }

    fn CFDictionaryAddValue(dictionary: CfRef, key: CfRef, value: CfRef) {
        put(dictionary, key, value, false);
    }

    fn CFDictionaryRemoveValue(dictionary: CfRef, key: CfRef) {
        let removed = pairs_mut(dictionary).and_then(|mut pairs| {
            let place = find(&pairs, key)?;
            Some(pairs.remove(place))
        });
        drop(removed);
    }

    fn CFDictionaryRemoveAllValues(dictionary: CfRef) {
        let removed = pairs_mut(dictionary).map(|mut pairs| std::mem::take(&mut *pairs));
        drop(removed);
    }

    fn CFDictionaryGetValue(dictionary: CfRef, key: CfRef) -> CfRef {
        let found = pairs(dictionary).and_then(|pairs| Some(pairs[find(&pairs, key)?].1.word()));
        found.unwrap_or(CfRef::NULL)
    }

    fn CFDictionaryGetValueIfPresent(dictionary: CfRef, key: CfRef, value: Out<CfRef>) -> u8 {
        let found = pairs(dictionary).and_then(|pairs| Some(pairs[find(&pairs, key)?].1.word()));
        if let Some(found) = found {
            value.write(found);
        }
        u8::from(found.is_some())
    }

    fn CFDictionaryContainsKey(dictionary: CfRef, key: CfRef) -> u8 {
        u8::from(pairs(dictionary).is_some_and(|pairs| find(&pairs, key).is_some()))
    }

    fn CFDictionaryGetCount(dictionary: CfRef) -> Index {
        pairs(dictionary).map_or(0, |pairs| pairs.len() as Index)
    }

    fn CFDictionaryGetKeysAndValues(dictionary: CfRef, keys: Out<CfRef>, values: Out<CfRef>) {
        let all: Vec<_> = pairs(dictionary)
            .map(|pairs| pairs.iter().map(|(key, value)| (key.word(), value.word())).collect())
            .unwrap_or_default();
        for (index, (key, value)) in all.into_iter().enumerate() {
            if !keys.is_null() {
                keys.write_at(index, key);
            }
            if !values.is_null() {
                values.write_at(index, value);
            }
        }
    }

    fn CFDictionaryApplyFunction(
        dictionary: CfRef,
        function: extern "C-unwind" fn(CfRef, CfRef, usize),
        context: usize,
    ) {
        let all: Pairs = pairs(dictionary).map(|pairs| pairs.clone()).unwrap_or_default();
        for (key, value) in &all {
            function(key.word(), value.word(), context);
        }
    }
}
