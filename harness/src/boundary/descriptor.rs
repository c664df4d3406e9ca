//! Memory descriptors of a dext (group I): what can be described, and what a mapping in the dext is.

use super::{RangeLength, Rule, Rules};
use crate::IoReturn;
use crate::limits::{DESCRIPTOR_PARTS_MAX, PAGE_SIZE};

/// `kIOMemoryDirectionIn`: a device may write to the memory.
pub const DIRECTION_IN: u64 = 1;

/// `kIOMemoryDirectionOut`: a device may read the memory.
pub const DIRECTION_OUT: u64 = 2;

/// `kIOMemoryDirectionInOut`.
pub const DIRECTION_IN_OUT: u64 = DIRECTION_IN | DIRECTION_OUT;

/// `kIOMemoryDisableCopyOnWrite`, for memory of the client only (I1, I14).
pub const DISABLE_COPY_ON_WRITE: u64 = 0x10;

/// `kIOMemoryMapFixedAddress` (I9).
pub const MAP_FIXED_ADDRESS: u64 = 0x1;

/// `kIOMemoryMapReadOnly` (I10).
pub const MAP_READ_ONLY: u64 = 0x2;

/// Bits of a mapping's cache mode (I7).
pub const MAP_CACHE_MODE_MASK: u64 = 0xff00;

/// What a device may do with memory of a direction (I1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceAccess {
    /// The device may read it: Out.
    pub reads: bool,
    /// The device may write to it: In.
    pub writes: bool,
}

/// What a device may do with memory described with these options (I1).
#[must_use]
pub fn device_access(rules: Rules, options: u64) -> DeviceAccess {
    let (into, out) = (options & DIRECTION_IN != 0, options & DIRECTION_OUT != 0);
    // Naively In is what comes into the machine's view of the device, as `UIO_READ` has it.
    let naive = DeviceAccess { reads: into, writes: out };
    rules.choose(Rule::I1, DeviceAccess { reads: out, writes: into }, naive)
}

/// Whether there can be a buffer of `capacity` bytes with these options (I2).
///
/// # Errors
///
/// `kIOReturnBadArgument` for options beyond the directions, `kIOReturnNoMemory` for capacity 0.
pub fn create_buffer(rules: Rules, options: u64, capacity: u64) -> Result<(), IoReturn> {
    let empty = if capacity == 0 { Err(IoReturn::NO_MEMORY) } else { Ok(()) };
    rules.choose(Rule::I2, only_directions(options).and(empty), Ok(()))
}

/// Bytes that are accessible of `length` ones at `start` of a buffer: whole pages (I3).
#[must_use]
pub fn accessible(rules: Rules, start: u64, length: u64) -> u64 {
    let end = start.saturating_add(length);
    let pages = end.checked_next_multiple_of(PAGE_SIZE).unwrap_or(end);
    rules.choose(Rule::I3, pages, end) - start
}

/// Length of a new buffer (I4).
#[must_use]
pub fn initial_length(rules: Rules, capacity: u64) -> u64 {
    // The header's comment has it 0 until it is set.
    if rules.on(Rule::I4) { capacity } else { 0 }
}

/// What `SetLength` gives, and the length from then on (I5).
pub fn set_length(rules: Rules, capacity: u64, current: u64, length: u64) -> (IoReturn, u64) {
    if length <= capacity {
        (IoReturn::SUCCESS, length)
    } else if rules.on(Rule::I5) {
        (IoReturn::SUCCESS, current)
    } else {
        (IoReturn::BAD_ARGUMENT, current)
    }
}

/// The length that `GetAddressRange` gives (I6).
#[must_use]
pub fn address_range_length(rules: Rules, capacity: u64, current: u64) -> u64 {
    let kept = match rules.open().address_range_length {
        RangeLength::Current => current,
        RangeLength::Capacity => capacity,
    };
    rules.choose(Rule::I6, kept, capacity.next_multiple_of(PAGE_SIZE))
}

/// A mapping that a dext asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DextMapping {
    /// `CreateMapping`'s options.
    pub options: u64,
    /// Where, if the options say that it is fixed.
    pub address: u64,
    /// First byte of the descriptor.
    pub offset: u64,
    /// Bytes; 0 is all of them.
    pub length: u64,
}

/// A mapping that a dext gets, if there is room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DextMapped {
    /// Bits of the cache mode (I7).
    pub cache_mode: u64,
    /// The page where it must be, and the memory's offset in it; `None` is anywhere (I9).
    pub fixed: Option<u64>,
    /// First byte of the descriptor.
    pub offset: u64,
    /// Bytes, at least one.
    pub length: u64,
    /// True where the dext cannot write to it (I10).
    pub read_only: bool,
}

/// What a mapping of a descriptor in the dext is. `whole` is the descriptor's length now, `direction`
/// its options, and `own` whether the dext itself made this very descriptor as a buffer.
///
/// # Errors
///
/// `kIOReturnBadArgument` for a cache mode that there is not (I7); `kIOReturnError` for a range that
/// is not inside the descriptor, and for one without bytes (I8).
pub fn create_mapping(
    rules: Rules,
    wanted: DextMapping,
    whole: u64,
    direction: u64,
    own: bool,
) -> Result<DextMapped, IoReturn> {
    let mut cache_mode = wanted.options & MAP_CACHE_MODE_MASK;
    if !matches!(cache_mode, 0 | 0x100 | 0x200 | 0x400 | 0x800) {
        if rules.on(Rule::I7) {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        cache_mode = 0;
    }
    let all = wanted.length == 0 && rules.on(Rule::I9);
    let length = if all { whole } else { wanted.length };
    let inside = wanted.offset.checked_add(length).is_some_and(|end| end <= whole);
    if !inside || length == 0 {
        let naive = IoReturn::BAD_ARGUMENT;
        return Err(if rules.on(Rule::I8) { IoReturn::ERROR } else { naive });
    }
    let told = wanted.options & MAP_FIXED_ADDRESS != 0;
    let fixed = told || wanted.address != 0 && !rules.on(Rule::I9);
    Ok(DextMapped {
        cache_mode,
        fixed: fixed.then_some(wanted.address),
        offset: wanted.offset,
        length,
        read_only: maps_read_only(rules, wanted.options, direction, own),
    })
}

fn maps_read_only(rules: Rules, options: u64, direction: u64, own: bool) -> bool {
    let by_option = options & MAP_READ_ONLY != 0;
    let out = direction & DIRECTION_IN_OUT == DIRECTION_OUT;
    rules.choose(Rule::I10, (by_option || out) && !own, by_option)
}

/// What a mapping gives for which there is no room (I8).
pub fn no_room(rules: Rules) -> IoReturn {
    if rules.on(Rule::I8) { IoReturn::ERROR } else { IoReturn::NO_SPACE }
}

/// True where two equal mappings in one process are one (I11).
#[must_use]
pub fn shares_equal_mappings(rules: Rules) -> bool {
    rules.on(Rule::I11)
}

/// Whether there can be a descriptor of `length` bytes at `offset` of one of `parent` bytes, `None`
/// where there is no parent. Gives its length.
///
/// # Errors
///
/// `kIOReturnBadArgument` without a parent, for options beyond the directions, and for an end that
/// overflows or is beyond the parent's (I12).
pub fn create_sub_descriptor(
    rules: Rules,
    parent: Option<u64>,
    options: u64,
    offset: u64,
    length: u64,
) -> Result<u64, IoReturn> {
    let parent = parent.ok_or(IoReturn::BAD_ARGUMENT)?;
    only_directions(options)?;
    match offset.checked_add(length) {
        Some(end) if end <= parent => Ok(length),
        // As much of it as there is.
        _ if !rules.on(Rule::I12) => Ok(parent.saturating_sub(offset).min(length)),
        _ => Err(IoReturn::BAD_ARGUMENT),
    }
}

/// Whether descriptors can be joined to one. `present` says of each whether it is there; `None` is a
/// NULL array, where `count` is what the dext says of it.
///
/// # Errors
///
/// `kIOReturnOverrun` for more than 32, which the stub in the dext says; `kIOReturnBadArgument` for
/// none, for one that is NULL, and for options beyond the directions (I13). A NULL array of 1 to 32 is
/// `KERN_INVALID_ADDRESS`: the stub faults.
pub fn create_with_descriptors(
    rules: Rules,
    options: u64,
    count: usize,
    present: Option<&[bool]>,
) -> Result<(), IoReturn> {
    rules.choose(Rule::I13, joined(options, count, present), only_directions(options))
}

fn joined(options: u64, count: usize, present: Option<&[bool]>) -> Result<(), IoReturn> {
    if count > DESCRIPTOR_PARTS_MAX {
        return Err(IoReturn::OVERRUN);
    }
    if count == 0 {
        return Err(IoReturn::BAD_ARGUMENT);
    }
    let present = present.ok_or(IoReturn::KERN_INVALID_ADDRESS)?;
    only_directions(options)?;
    if present.contains(&false) { Err(IoReturn::BAD_ARGUMENT) } else { Ok(()) }
}

/// How far a user client is, as far as memory of its client goes by it (I14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientReach {
    /// The object is no user client.
    NoUserClient,
    /// `NewUserClient` has not returned, or the kernel has torn the user client down.
    NotReady,
    /// In between, the dext's `Stop` included.
    Ready,
}

/// A descriptor of the client's memory that can be made (I14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientDescriptor {
    /// Its direction; other bits of the options are ignored.
    pub direction: u64,
    /// The first mapping of it takes a copy.
    pub copy_on_write: bool,
}

/// Whether there can be a descriptor of that many ranges of the client's memory.
///
/// # Errors
///
/// `kIOReturnOverrun` for more than 32, which the stub in the dext says; `kIOReturnBadArgument` where
/// the object is no user client, `kIOReturnNotReady` where it is too early or too late,
/// `kIOReturnNoMemory` for no ranges at all (I14).
pub fn create_from_client(
    rules: Rules,
    options: u64,
    segments: usize,
    reach: ClientReach,
) -> Result<ClientDescriptor, IoReturn> {
    let kept = rules.on(Rule::I14);
    if segments > DESCRIPTOR_PARTS_MAX && kept {
        return Err(IoReturn::OVERRUN);
    }
    match reach {
        ClientReach::NoUserClient => return Err(IoReturn::BAD_ARGUMENT),
        ClientReach::NotReady if kept => return Err(IoReturn::NOT_READY),
        ClientReach::NotReady | ClientReach::Ready => {}
    }
    if segments == 0 {
        return Err(IoReturn::NO_MEMORY);
    }
    let copy_on_write = options & DISABLE_COPY_ON_WRITE == 0 && kept;
    Ok(ClientDescriptor { direction: options & DIRECTION_IN_OUT, copy_on_write })
}

/// What a dext can ask of memory, as far as not every system has it (I15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryFeature {
    /// `CreateMapping` and buffers.
    Mappings,
    /// `CreateSubMemoryDescriptor`.
    SubDescriptors,
    /// `CreateWithMemoryDescriptors`.
    JoinedDescriptors,
    /// `CreateMemoryDescriptorFromClient`.
    ClientDescriptors,
    /// The guard options of `CreateMapping`.
    GuardedMappings,
    /// The cache mode `kIOMemoryMapCacheModeRealTime`.
    RealTimeCacheMode,
}

/// Major version of the DriverKit that first has a feature: 19 came with macOS 10.15, 20 with 11, 21
/// with 12 and 24 with 15 (I15).
#[must_use]
pub fn available_since(rules: Rules, feature: MemoryFeature) -> u32 {
    let kept = match feature {
        MemoryFeature::Mappings => 19,
        MemoryFeature::SubDescriptors
        | MemoryFeature::JoinedDescriptors
        | MemoryFeature::ClientDescriptors => 20,
        MemoryFeature::GuardedMappings => 21,
        MemoryFeature::RealTimeCacheMode => 24,
    };
    rules.choose(Rule::I15, kept, 19)
}

fn only_directions(options: u64) -> Result<(), IoReturn> {
    if options & !DIRECTION_IN_OUT == 0 { Ok(()) } else { Err(IoReturn::BAD_ARGUMENT) }
}
