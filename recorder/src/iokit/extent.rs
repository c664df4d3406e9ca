//! Which bytes of a mapping a client can touch.

/// Bytes from `address` on that are accessible, for a descriptor of `length` bytes mapped there:
/// whole pages are mapped (F10), and the mapping may begin inside its first page (F8). `None` where
/// the end would lie beyond the address space.
pub(super) fn accessible(address: u64, length: u64, page_size: u64) -> Option<u64> {
    let within_page = address.checked_rem(page_size)?;
    let whole = within_page.checked_add(length)?.checked_next_multiple_of(page_size)?;
    let size = whole - within_page;
    address.checked_add(size)?;
    Some(if length == 0 { 0 } else { size })
}

/// A region of the client's address space, as `mach_vm_region` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VmRegion {
    /// Address of the first byte.
    pub(super) start: u64,
    /// Bytes.
    pub(super) size: u64,
    /// A write does not fault.
    pub(super) writable: bool,
    /// A forked child does not get it.
    pub(super) kept_from_children: bool,
}

impl VmRegion {
    /// True where the region is a mapping of a user client at `address`: those, unlike memory of the
    /// client's own, are not inherited by children (F27). Asked after an unmap, because the kernel
    /// ignores the address (F15) and answers success also where it unmapped nothing (F19) or another
    /// mapping (F20).
    pub(super) fn holds_mapping_at(&self, address: u64) -> bool {
        let inside = address >= self.start && address - self.start < self.size;
        inside && self.kept_from_children
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f10_whole_pages_are_accessible() {
        assert_eq!(accessible(0x10_0000, 128, 0x4000), Some(0x4000));
        assert_eq!(accessible(0x10_0000, 0x4000, 0x4000), Some(0x4000));
        assert_eq!(accessible(0x10_0000, 0x4001, 0x4000), Some(0x8000));
    }

    #[test]
    fn f8_the_offset_in_the_first_page_counts() {
        assert_eq!(accessible(0x10_0ff0, 0x10, 0x1000), Some(0x10));
        assert_eq!(accessible(0x10_0ff0, 0x11, 0x1000), Some(0x1010));
    }

    #[test]
    fn f13_a_length_of_zero_shows_nothing() {
        assert_eq!(accessible(0x10_0000, 0, 0x4000), Some(0));
        assert_eq!(accessible(0x10_0ff0, 0, 0x1000), Some(0));
    }

    #[test]
    fn what_no_address_space_holds_is_refused() {
        assert_eq!(accessible(0x4000, u64::MAX, 0x4000), None);
        assert_eq!(accessible(u64::MAX - 0x3fff, 0x8000, 0x4000), None);
        assert_eq!(accessible(0, 1, 0), None);
    }

    #[test]
    fn f15_memory_of_the_clients_own_at_a_former_mapping_is_no_mapping() {
        let region =
            VmRegion { start: 0x8000, size: 0x4000, writable: true, kept_from_children: true };
        assert!(region.holds_mapping_at(0x8000));
        assert!(region.holds_mapping_at(0xbfff));
        assert!(!region.holds_mapping_at(0xc000));
        assert!(!region.holds_mapping_at(0x7fff), "mach_vm_region answers with the next region");
        let own = VmRegion { kept_from_children: false, ..region };
        assert!(!own.holds_mapping_at(0x8000));
    }
}
