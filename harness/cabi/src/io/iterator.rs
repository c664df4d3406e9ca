//! `IOIterator*`.

use crate::mach::{KERN_SUCCESS, Kern, Name};
use crate::port::{self, Kind};
use dextape::IoReturn;

export! {
    fn IOIteratorNext(iterator: u32) -> Name {
        let Some(Kind::Iterator(iterator)) = port::lookup(iterator) else { return 0 };
        iterator.next().map_or(0, |service| Name::from(port::service_name(service)))
    }

    fn IOIteratorReset(iterator: u32) {
        if let Some(Kind::Iterator(iterator)) = port::lookup(iterator) {
            iterator.reset();
        }
    }

    fn IOIteratorIsValid(iterator: u32) -> u32 {
        u32::from(matches!(port::lookup(iterator), Some(Kind::Iterator(_))))
    }

    fn IORegistryIteratorEnterEntry(_iterator: u32) -> Kern {
        KERN_SUCCESS
    }

    fn IORegistryIteratorExitEntry(_iterator: u32) -> Kern {
        IoReturn::NO_DEVICE.as_kern_return()
    }
}
