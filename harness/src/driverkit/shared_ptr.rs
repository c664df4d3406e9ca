//! `OSSharedPtr`: a pointer that releases what it holds.

use super::OsObject;
use std::ops::Deref;

/// A pointer that owns one reference: cloning retains, dropping releases.
///
/// # Examples
///
/// ```
/// use dextape::driverkit::{DextProcess, OsData, OsObject, OsSharedPtr};
/// use dextape::schedule::Schedule;
///
/// let process = DextProcess::new("com.example.dext", &Schedule::free());
/// let _inside = process.enter();
/// let data = OsSharedPtr::adopt(OsData::with_bytes(&[1]));
/// let second = data.clone();
/// assert_eq!(data.retain_count(), 2);
/// drop(second);
/// drop(data);
/// assert!(process.leaks().is_empty());
/// ```
#[derive(Debug)]
#[doc(alias = "OSSharedPtr")]
pub struct OsSharedPtr<T: OsObject> {
    /// `None` only on the way out of `detach`.
    pointer: Option<T>,
}

const HELD: &str = "a shared pointer holds its pointer until it is detached";

impl<T: OsObject> OsSharedPtr<T> {
    /// Takes over a reference that the caller has, such as that of a new object.
    #[doc(alias = "OSNoRetain")]
    pub fn adopt(pointer: T) -> Self {
        Self { pointer: Some(pointer) }
    }

    /// Retains `pointer`, such as an argument that belongs to somebody else.
    #[doc(alias = "OSRetain")]
    #[track_caller]
    pub fn retaining(pointer: &T) -> Self {
        pointer.retain();
        Self { pointer: Some(pointer.clone()) }
    }

    /// The pointer without its reference: what `CopyClientMemoryForType` returns after a retain.
    pub fn get(&self) -> T {
        (**self).clone()
    }

    /// Gives the reference away: the caller releases it.
    pub fn detach(mut self) -> T {
        self.pointer.take().expect(HELD)
    }
}

impl<T: OsObject> Clone for OsSharedPtr<T> {
    fn clone(&self) -> Self {
        Self::retaining(self)
    }
}

impl<T: OsObject> Drop for OsSharedPtr<T> {
    fn drop(&mut self) {
        if let Some(pointer) = &self.pointer {
            pointer.release();
        }
    }
}

impl<T: OsObject> Deref for OsSharedPtr<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.pointer.as_ref().expect(HELD)
    }
}
