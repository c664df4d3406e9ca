//! What every object of a dext has: a class, a retain count that the dext keeps itself, and a
//! process that hears of it when the count is wrong.

use super::finding::{Lint, Place};
use super::process::{Context, DextProcess, ProcessInner, UserClientNumber};
use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};

/// An object of the dext, as a pointer: cloning it copies the pointer and retains nothing. What is
/// retained is released by hand, or by an [`OsSharedPtr`](super::OsSharedPtr).
///
/// A pointer stays safe to use after the last release. It does nothing then, and the process is told
/// of it as a [`Finding`](super::Finding).
///
/// # Examples
///
/// ```
/// use dextape::driverkit::{DextProcess, OsData, OsObject};
/// use dextape::schedule::Schedule;
///
/// let process = DextProcess::new("com.example.dext", &Schedule::free());
/// let _inside = process.enter();
/// let data = OsData::with_bytes(&[1, 2, 3]);
/// let pointer = data.clone();
/// assert_eq!(data.retain_count(), 1, "a copy of a pointer retains nothing");
/// pointer.retain();
/// assert_eq!(data.retain_count(), 2);
/// data.release();
/// data.release();
/// assert!(pointer.bytes().is_empty());
/// assert_eq!(process.findings().len(), 1, "a use after the last release");
/// ```
#[doc(alias = "OSObject")]
pub trait OsObject: Clone + fmt::Debug + Send + Sync + 'static + sealed::Handle {
    /// Adds a reference.
    #[track_caller]
    fn retain(&self) {
        self.header().retain(Location::caller());
    }

    /// Takes a reference away; the object is gone with the last one.
    #[track_caller]
    fn release(&self) {
        self.managed().release(Location::caller());
    }

    /// References left; 0 once the object is gone.
    fn retain_count(&self) -> u32 {
        self.header().count()
    }
}

impl<T: sealed::Handle + Clone + fmt::Debug + Send + Sync + 'static> OsObject for T {}

pub(crate) mod sealed {
    use super::{Header, Managed};
    use std::sync::Arc;

    /// What a pointer to an object can give; only this crate's classes have it.
    pub trait Handle {
        /// The object's own header.
        #[doc(hidden)]
        fn header(&self) -> &Header;

        /// The object, whatever its class.
        #[doc(hidden)]
        fn managed(&self) -> Arc<dyn Managed>;
    }
}

/// An object whatever its class.
#[doc(hidden)]
pub trait Managed: Send + Sync + fmt::Debug {
    /// Its header.
    fn header(&self) -> &Header;

    /// The last reference is gone: lets go of what it holds.
    fn freed(&self);

    /// The process is gone.
    fn killed(&self);
}

impl dyn Managed {
    #[track_caller]
    pub(crate) fn release(self: &Arc<Self>, at: &'static Location<'static>) {
        let header = self.header();
        let left =
            header.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |c| c.checked_sub(1));
        match left {
            Err(_) => header.report(Lint::OverRelease, at),
            Ok(1) => {
                if let Some(process) = header.process() {
                    process.forget(header.number);
                }
                self.freed();
            }
            Ok(_) => {}
        }
    }
}

/// What the process knows of an object.
#[doc(hidden)]
pub struct Header {
    number: u64,
    class: &'static str,
    process: Weak<ProcessInner>,
    owner: Option<UserClientNumber>,
    made_in: Place,
    /// Where in the dext's source; `None` for what the system made.
    created_at: Option<&'static Location<'static>>,
    count: AtomicU32,
    /// Whether the dext itself ever retained it.
    retained: AtomicBool,
}

impl Header {
    fn retain(&self, at: &'static Location<'static>) {
        if self.retain_by_system() {
            self.retained.store(true, Ordering::Release);
        } else {
            self.report(Lint::UseAfterRelease, at);
        }
    }

    /// Adds a reference that is not the dext's; false where the object is gone.
    pub(crate) fn retain_by_system(&self) -> bool {
        let added = self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
            if count == 0 { None } else { count.checked_add(1) }
        });
        added.is_ok()
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn class(&self) -> &'static str {
        self.class
    }

    pub(crate) fn owner(&self) -> Option<UserClientNumber> {
        self.owner
    }

    pub(crate) fn made_in(&self) -> &Place {
        &self.made_in
    }

    pub(crate) fn created_at(&self) -> Option<&'static Location<'static>> {
        self.created_at
    }

    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    pub(crate) fn was_retained(&self) -> bool {
        self.retained.load(Ordering::Acquire)
    }

    pub(crate) fn process(&self) -> Option<DextProcess> {
        self.process.upgrade().map(DextProcess::from_inner)
    }

    /// True where the object is there; else the process is told that it was used.
    #[track_caller]
    pub(crate) fn alive(&self) -> bool {
        let alive = self.count() > 0;
        if !alive {
            self.report(Lint::UseAfterRelease, Location::caller());
        }
        alive
    }

    fn report(&self, lint: Lint, at: &'static Location<'static>) {
        let Some(process) = self.process() else { return };
        let verb = if lint == Lint::OverRelease { "released" } else { "used" };
        process.report(
            lint,
            Context::place(),
            format!("{} ({}) was {verb} after its last release", self.class, self.origin()),
            Some(at),
        );
    }

    /// Where it was made, for people.
    pub(crate) fn origin(&self) -> String {
        origin(&self.made_in, self.created_at)
    }

    /// Tells of something wrong in `place`; the line that it hangs on is where the object was made.
    pub(crate) fn report_as(&self, lint: Lint, place: Place, message: String) {
        if let Some(process) = self.process() {
            process.report(lint, place, message, self.created_at);
        }
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{} ({} references)", self.class, self.number, self.count())
    }
}

/// Where an object was made, for people.
pub(crate) fn origin(place: &Place, at: Option<&Location<'_>>) -> String {
    match at {
        Some(at) if *place == Place::Elsewhere => format!("made at {}", describe(at)),
        Some(at) => format!("made in {place}, at {}", describe(at)),
        None => format!("made by the system for {place}"),
    }
}

/// File and line, with the separators of one platform.
pub(crate) fn describe(location: &Location<'_>) -> String {
    format!("{}:{}", location.file().replace('\\', "/"), location.line())
}

/// An object of one class.
pub(crate) struct Object<P> {
    header: Header,
    pub(crate) payload: P,
}

/// What a class adds to the header.
pub(crate) trait Payload: Send + Sync + 'static {
    /// Apple's name of the class.
    const CLASS: &'static str;

    /// The same, where it depends on the object.
    fn class(&self) -> &'static str {
        Self::CLASS
    }

    /// The last reference is gone.
    fn freed(&self) {}

    /// The process is gone.
    fn killed(&self) {
        self.freed();
    }
}

impl<P: Payload> Object<P> {
    /// Makes an object with one reference in the process that the calling thread works for.
    ///
    /// # Panics
    ///
    /// Where the thread works for no dext process.
    #[track_caller]
    pub(crate) fn create(payload: P) -> Arc<Self> {
        let at = Location::caller();
        let Some((process, owner)) = Context::process_and_client() else {
            panic!(
                "failed to make an {}: the thread works for no dext process (make it in start, \
                 new_user_client or a handler, or enter a DextProcess first)",
                P::CLASS
            );
        };
        Self::create_in(&process, owner, Some(at), payload)
    }

    /// Makes an object of the system's, with one reference that is the system's.
    pub(crate) fn create_by_system(
        process: &DextProcess,
        owner: Option<UserClientNumber>,
        payload: P,
    ) -> Arc<Self> {
        Self::create_in(process, owner, None, payload)
    }

    fn create_in(
        process: &DextProcess,
        owner: Option<UserClientNumber>,
        created_at: Option<&'static Location<'static>>,
        payload: P,
    ) -> Arc<Self> {
        let made_in = Context::place();
        process.remember(|number| {
            let header = Header {
                number,
                class: payload.class(),
                process: process.downgrade(),
                owner,
                made_in,
                created_at,
                count: AtomicU32::new(1),
                retained: AtomicBool::new(false),
            };
            Arc::new(Self { header, payload })
        })
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    #[track_caller]
    pub(crate) fn alive(&self) -> bool {
        self.header.alive()
    }
}

impl<P: Payload> Managed for Object<P> {
    fn header(&self) -> &Header {
        &self.header
    }

    fn freed(&self) {
        self.payload.freed();
    }

    fn killed(&self) {
        self.payload.killed();
    }
}

impl<P: Payload> fmt::Debug for Object<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.header, f)
    }
}

/// The parts that every pointer type has alike.
macro_rules! handle {
    ($name:ident, $payload:ty) => {
        impl $crate::driverkit::object::sealed::Handle for $name {
            fn header(&self) -> &$crate::driverkit::object::Header {
                self.object.header()
            }

            fn managed(&self) -> std::sync::Arc<dyn $crate::driverkit::object::Managed> {
                std::sync::Arc::<$crate::driverkit::object::Object<$payload>>::clone(&self.object)
            }
        }
    };
}

pub(crate) use handle;

#[cfg(test)]
mod tests {
    use crate::driverkit::testing::{in_process, lints, texts};
    use crate::driverkit::{
        BufferMemoryDescriptor, Direction, MemoryDescriptor, OsData, OsObject, OsSharedPtr,
    };

    #[test]
    fn a_copy_of_a_pointer_retains_nothing() {
        in_process(|process| {
            let data = OsData::with_bytes(&[1, 2]);
            let copy = data.clone();
            assert_eq!((data.retain_count(), copy.retain_count()), (1, 1));
            copy.retain();
            data.release();
            assert_eq!(*copy.bytes(), [1, 2], "one reference is left");
            copy.release();
            assert_eq!(data.retain_count(), 0);
            assert!(process.leaks().is_empty());
            assert!(lints(process).is_empty(), "{}", texts(process));
        });
    }

    #[test]
    fn use_and_release_after_the_last_release_are_told_once_a_place() {
        in_process(|process| {
            let data = OsData::with_bytes(&[1, 2]);
            data.release();
            for _ in 0..3 {
                assert_eq!(data.len(), 0);
            }
            data.retain();
            data.release();
            assert_eq!(data.retain_count(), 0, "what is gone stays gone");
            insta::assert_snapshot!(texts(process), @"
            a use after the last release (use-after-release; B10, D20)
              OSData (made at HERE) was used after its last release
              in other code of the dext (HERE), 3 times
              mend: keep a reference as long as the pointer is used, in an OsSharedPtr for instance
            a use after the last release (use-after-release; B10, D20)
              OSData (made at HERE) was used after its last release
              in other code of the dext (HERE)
              mend: keep a reference as long as the pointer is used, in an OsSharedPtr for instance
            a release too many (over-release; F4, B10)
              OSData (made at HERE) was released after its last release
              in other code of the dext (HERE)
              mend: retain once for each release; what CopyClientMemoryForType returns and what structure_output holds is released by the system, so do not release that yourself
            ");
        });
    }

    #[test]
    fn shared_pointers_keep_count() {
        in_process(|process| {
            let data = OsData::with_bytes(&[1]);
            let adopted = OsSharedPtr::adopt(data.clone());
            let retained = OsSharedPtr::retaining(&data);
            let copied = retained.clone();
            assert_eq!(data.retain_count(), 3);
            drop(adopted);
            let detached = copied.detach();
            assert_eq!(data.retain_count(), 2);
            drop(retained);
            detached.release();
            assert_eq!(data.retain_count(), 0);
            assert!(lints(process).is_empty(), "{}", texts(process));
        });
    }

    #[test]
    fn a_buffer_and_its_descriptor_are_one_object() {
        in_process(|_| {
            let buffer = BufferMemoryDescriptor::create(Direction::IN, 1, 0).unwrap();
            let plain: MemoryDescriptor = buffer.clone().into();
            plain.retain();
            assert_eq!(buffer.retain_count(), 2);
            buffer.release();
            buffer.release();
            assert_eq!(plain.retain_count(), 0);
        });
    }

    #[test]
    fn a_process_keeps_a_bounded_number_of_findings() {
        use crate::driverkit::finding::{Lint, Place};
        in_process(|process| {
            for round in 0..2 {
                for selector in 0..300 {
                    let place = Place::ExternalMethod { selector };
                    process.report(Lint::CountRaised, place, format!("round {round}"), None);
                }
            }
            assert_eq!(process.findings().len(), 256);
            assert_eq!(process.findings_left_out(), 2 * 44);
            assert!(process.findings().iter().all(|finding| finding.count() == 2));
        });
    }

    #[test]
    #[should_panic(expected = "failed to make an OSData: the thread works for no dext process")]
    fn an_object_needs_a_process() {
        drop(OsData::with_bytes(&[]));
    }
}
