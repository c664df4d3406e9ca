//! Mappings of one task (group F): which mapping a map or an unmap comes to, where it lies and how
//! long it lives. Descriptors and connections are numbers here; the memory itself is the caller's.

use super::space::AddressSpace;
use super::{Rule, Rules};
use crate::IoReturn;
use crate::call::MapOptions;
use crate::limits::PAGE_SIZE;
use std::collections::{BTreeMap, BTreeSet};

/// `kIOUserClientMemoryReadOnly`, the only option of the dext that counts (F2).
pub const CLIENT_MEMORY_READ_ONLY: u64 = 1;

/// The descriptor that the dext answered: a range of a root descriptor. A sub-descriptor counts as
/// its parent plus range (F20).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorRange {
    /// Number of the root descriptor.
    pub root: u64,
    /// First byte within the root.
    pub offset: u64,
    /// Length in bytes, as it is now (F13).
    pub length: u64,
    /// Where it lies in the client already: memory of the client's own in one range, all of it (F8).
    pub client_address: Option<u64>,
}

/// What the dext answered, and what the client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapRequest {
    /// Number of the connection.
    pub connection: u64,
    /// The memory type.
    pub memory_type: u32,
    /// The descriptor.
    pub descriptor: DescriptorRange,
    /// True where the mapping is to be read-only, see [`is_read_only`].
    pub read_only: bool,
    /// The client's options.
    pub options: MapOptions,
    /// The client's address.
    pub address: u64,
}

/// A mapping that a client got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappedRange {
    /// Number of the mapping in the task, from 1 on; the same for each alias.
    pub number: u64,
    /// `*atAddress`.
    pub address: u64,
    /// `*ofSize`: the descriptor's length (F10), in bytes.
    pub length: u64,
    /// Bytes that are accessible from the address on: to the end of the last page (F10).
    pub accessible: u64,
    /// First byte within the root descriptor.
    pub offset: u64,
    /// True where a write faults (F2, F3).
    pub read_only: bool,
}

/// The client's options as far as the kernel keeps them (F1).
#[must_use]
pub fn user_options(rules: Rules, options: MapOptions) -> MapOptions {
    rules.choose(Rule::F1, MapOptions(options.0 & MapOptions::USER_MASK.0), options)
}

/// Whether a mapping is asked to be read-only. `dext_options` is what `CopyClientMemoryForType` left
/// in its options, `direction_out` whether the descriptor's direction is exactly Out (F1 to F3).
#[must_use]
pub fn is_read_only(
    rules: Rules,
    options: MapOptions,
    dext_options: u64,
    direction_out: bool,
) -> bool {
    let by_client = user_options(rules, options).contains(MapOptions::READ_ONLY);
    let by_dext = dext_options & CLIENT_MEMORY_READ_ONLY != 0 && rules.on(Rule::F2);
    let by_direction = direction_out && !rules.on(Rule::F3);
    by_client || by_dext || by_direction
}

/// The memory type as the dext sees it: zero-extended (F4).
#[must_use]
pub fn memory_type(rules: Rules, memory_type: u32) -> u64 {
    if rules.on(Rule::F4) {
        u64::from(memory_type)
    } else {
        i64::from(memory_type.cast_signed()).cast_unsigned()
    }
}

/// True where each answer of `CopyClientMemoryForType` costs the dext a reference (F4).
#[must_use]
pub fn consumes_reference(rules: Rules) -> bool {
    rules.on(Rule::F4)
}

/// What a client is told of a map for which the dext, or the mapping itself, gave `code` (F5).
pub fn map_failure(rules: Rules, code: IoReturn) -> IoReturn {
    if rules.on(Rule::F5) { IoReturn::BAD_ARGUMENT } else { code }
}

/// What a client is told of an unmap for which the dext gave the error `code` (F18).
pub fn unmap_failure(rules: Rules, code: IoReturn) -> IoReturn {
    if rules.on(Rule::F18) { code } else { IoReturn::BAD_ARGUMENT }
}

/// What a client is told of an unmap for which the dext gave success without memory (F19).
pub fn unmap_without_memory(rules: Rules) -> IoReturn {
    if rules.on(Rule::F19) { IoReturn::SUCCESS } else { IoReturn::BAD_ARGUMENT }
}

/// What the base `CopyClientMemoryForType` gives, where a dext has none of its own: a map is then a
/// bad argument (F5), an unmap unsupported (F18, F21).
pub fn without_client_memory(rules: Rules) -> IoReturn {
    // Naively a base method does nothing, and succeeds at it.
    if rules.on(Rule::F21) { IoReturn::UNSUPPORTED } else { IoReturn::SUCCESS }
}

/// Whether the memory of a mapping is there when the dext is not: it is the kernel's (F22).
#[must_use]
pub fn memory_outlives_dext(rules: Rules) -> bool {
    rules.on(Rule::F22)
}

/// Whose end is the end of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MappingHolder {
    /// The connection's, in the task that opened it (F23).
    Connection,
    /// That of the right which is pushed to another task (F26).
    Right,
}

/// Whose end is the end of a mapping that a connection makes in its own task, or in another (F26).
#[must_use]
pub fn mapping_holder(rules: Rules, own_task: bool) -> MappingHolder {
    if own_task || !rules.on(Rule::F26) { MappingHolder::Connection } else { MappingHolder::Right }
}

/// One object that stands for a mapping. Several can lie at one address: a shorter alias is an
/// object of its own over the longer one (F13).
#[derive(Clone, Debug)]
struct Entry {
    number: u64,
    range: DescriptorRange,
    /// What was asked for, which is what decides whether it is compatible.
    read_only: bool,
    /// What the memory really is.
    protected: bool,
    cache: u32,
    address: u64,
    accessible: u64,
    over: Option<u64>,
    holders: Vec<Holder>,
}

#[derive(Clone, Debug)]
struct Holder {
    connection: u64,
    memory_type: u32,
    /// How often it was mapped; one unmap undoes them all (F16).
    maps: u64,
}

/// What a search goes by.
struct Wanted {
    connection: u64,
    range: DescriptorRange,
    read_only: bool,
    cache: u32,
    /// Address of the first byte, where it is fixed.
    fixed: Option<u64>,
    /// True for a map, false for an unmap.
    maps: bool,
}

/// The mappings of one task.
#[derive(Clone, Debug)]
pub struct MappingTable {
    rules: Rules,
    /// In the order in which they were made.
    entries: Vec<Entry>,
    made: u64,
    space: AddressSpace,
    /// Descriptors whose first mapping was read-only: their protection caps later ones (F3).
    capped: BTreeSet<u64>,
    seen: BTreeSet<u64>,
    /// Numbers of the client's own memory that was mapped back into it, by descriptor (F8).
    own: BTreeMap<u64, u64>,
}

impl MappingTable {
    /// No mappings yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            entries: Vec::new(),
            made: 0,
            space: AddressSpace::new(),
            capped: BTreeSet::new(),
            seen: BTreeSet::new(),
            own: BTreeMap::new(),
        }
    }

    /// Maps what the dext answered.
    ///
    /// # Errors
    ///
    /// A code that [`map_failure`] turns into what the client is told: `kIOReturnVMError` where
    /// there is nothing to map or no room for it (F5, F9).
    pub fn map(&mut self, request: &MapRequest) -> Result<MappedRange, IoReturn> {
        let options = user_options(self.rules, request.options);
        let range = request.descriptor;
        let within = range.offset % PAGE_SIZE;
        let anywhere = options.contains(MapOptions::ANYWHERE) || !self.rules.on(Rule::F9);
        let page = request.address - request.address % PAGE_SIZE;
        if let Some(own) = self.own(range)
            && (anywhere || own == page.saturating_add(within))
        {
            return Ok(self.map_own(range, own));
        }
        let wanted = Wanted {
            connection: request.connection,
            range,
            read_only: request.read_only,
            cache: options.0 & MapOptions::CACHE_MASK.0,
            fixed: (!anywhere).then(|| page.saturating_add(within)),
            maps: true,
        };
        let found = self.find(&wanted).map(|entry| entry.number);
        let number = match found {
            Some(number) if self.is_whole(number, range) => number,
            Some(number) => self.add_over(number, range),
            None => self.add(&wanted, page)?,
        };
        self.hold(number, request.connection, request.memory_type);
        self.describe(number, range).ok_or(IoReturn::VM_ERROR)
    }

    /// Unmaps what the dext answered: the oldest compatible mapping of it (F15 to F17, F20). Gives
    /// the numbers of the mappings that are gone now. `address` is what the client gave.
    ///
    /// # Errors
    ///
    /// `kIOReturnBadArgument` where the task has no such mapping.
    pub fn unmap(
        &mut self,
        connection: u64,
        memory_type: u32,
        descriptor: DescriptorRange,
        read_only: bool,
        address: u64,
    ) -> Result<Vec<u64>, IoReturn> {
        if self.own(descriptor).is_some() {
            return Ok(Vec::new());
        }
        let (cache, fixed, maps) = (0, None, false);
        let range = descriptor;
        let mut wanted = Wanted { connection, range, read_only, cache, fixed, maps };
        let mut found = self.find(&wanted).map(|entry| entry.number);
        if self.is_elsewhere(found, &wanted, address) && !self.rules.on(Rule::F15) {
            wanted.fixed = Some(address);
            found = self.find(&wanted).map(|entry| entry.number);
        }
        if found.is_none() && !self.rules.on(Rule::F20) {
            found = self.held_as(connection, memory_type);
        }
        let number = found.ok_or(IoReturn::BAD_ARGUMENT)?;
        if !self.is_whole(number, descriptor) && self.rules.on(Rule::F13) {
            // A new object over the longer one is found and dropped again (F13).
            return Ok(Vec::new());
        }
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.number == number) else {
            return Err(IoReturn::BAD_ARGUMENT);
        };
        let Some(at) = entry.holders.iter().position(|held| held.connection == connection) else {
            // Another connection's (F17).
            return if self.rules.on(Rule::F17) {
                Ok(Vec::new())
            } else {
                Err(IoReturn::BAD_ARGUMENT)
            };
        };
        if entry.holders[at].maps > 1 && !self.rules.on(Rule::F16) {
            entry.holders[at].maps -= 1;
            return Ok(Vec::new());
        }
        entry.holders.remove(at);
        Ok(self.sweep())
    }

    /// The connection holds nothing any more. Gives the numbers of the mappings that are gone.
    pub fn end_connection(&mut self, connection: u64) -> Vec<u64> {
        for entry in &mut self.entries {
            entry.holders.retain(|held| held.connection != connection);
        }
        self.sweep()
    }

    /// What a forked child has of the task's mappings: none, and its addresses are free (F27).
    #[must_use]
    pub fn forked(&self) -> Self {
        // Naively a child has all that its parent has.
        if self.rules.on(Rule::F27) { Self::new(self.rules) } else { self.clone() }
    }

    /// A root descriptor is gone: what its first mapping said of later ones (F3) is forgotten.
    pub fn forget_descriptor(&mut self, root: u64) {
        self.seen.remove(&root);
        self.capped.remove(&root);
        self.own.remove(&root);
    }

    /// True where the connection holds a mapping.
    #[must_use]
    pub fn is_held_by(&self, connection: u64) -> bool {
        self.entries.iter().any(|entry| entry.holders.iter().any(|it| it.connection == connection))
    }

    /// Mappings that the task has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.iter().filter(|entry| entry.over.is_none()).count()
    }

    /// True where the task has no mapping.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where the client has this memory already (F8).
    fn own(&self, range: DescriptorRange) -> Option<u64> {
        range.client_address.filter(|_| self.rules.on(Rule::F8) && range.length > 0)
    }

    /// Memory of the client's own: nothing is mapped, and nothing ends with an unmap (F8).
    fn map_own(&mut self, range: DescriptorRange, address: u64) -> MappedRange {
        let made = &mut self.made;
        let number = *self.own.entry(range.root).or_insert_with(|| {
            *made += 1;
            *made
        });
        let within = range.offset % PAGE_SIZE;
        let pages = (within.saturating_add(range.length)).div_ceil(PAGE_SIZE);
        MappedRange {
            number,
            address,
            length: range.length,
            accessible: pages.saturating_mul(PAGE_SIZE) - within,
            offset: range.offset,
            read_only: false,
        }
    }

    /// The oldest compatible mapping that covers the range (F11 to F14).
    fn find(&self, wanted: &Wanted) -> Option<&Entry> {
        self.entries.iter().find(|entry| self.is_compatible(entry, wanted))
    }

    fn is_compatible(&self, entry: &Entry, wanted: &Wanted) -> bool {
        let range = wanted.range;
        if entry.range.root != range.root {
            return false;
        }
        let Some(delta) = range.offset.checked_sub(entry.range.offset) else { return false };
        let covered = delta.checked_add(range.length).is_some_and(|end| end <= entry.range.length);
        if !covered && self.rules.on(Rule::F13) {
            return false;
        }
        if !entry.holders.iter().any(|held| held.connection == wanted.connection)
            && !self.rules.on(Rule::F14)
        {
            return false;
        }
        let cache = wanted.cache == 0 || wanted.cache == entry.cache;
        let place = wanted.fixed.is_none_or(|address| address == entry.address + delta);
        let same = entry.read_only == wanted.read_only && cache && place;
        if !same && self.rules.on(Rule::F12) {
            return false;
        }
        !wanted.maps || wanted.fixed.is_some() || self.rules.on(Rule::F11)
    }

    /// True where what an unmap comes to does not lie where the client says (F15).
    fn is_elsewhere(&self, found: Option<u64>, wanted: &Wanted, address: u64) -> bool {
        let entry = found.and_then(|number| self.entry(number));
        entry.is_none_or(|entry| {
            let delta = wanted.range.offset.saturating_sub(entry.range.offset);
            entry.address.saturating_add(delta) != address
        })
    }

    /// True where the range is the whole of the mapping, so that its own object stands for it.
    fn is_whole(&self, number: u64, range: DescriptorRange) -> bool {
        self.entry(number).is_some_and(|entry| entry.range == range) || !self.rules.on(Rule::F13)
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.number == number)
    }

    fn held_as(&self, connection: u64, memory_type: u32) -> Option<u64> {
        let holds =
            |held: &Holder| held.connection == connection && held.memory_type == memory_type;
        self.entries.iter().find(|entry| entry.holders.iter().any(holds)).map(|entry| entry.number)
    }

    fn add(&mut self, wanted: &Wanted, page: u64) -> Result<u64, IoReturn> {
        let range = wanted.range;
        if range.length == 0 {
            return Err(IoReturn::VM_ERROR);
        }
        let within = range.offset % PAGE_SIZE;
        let size = within
            .checked_add(range.length)
            .and_then(|bytes| bytes.checked_next_multiple_of(PAGE_SIZE))
            .ok_or(IoReturn::VM_ERROR)?;
        let start = if wanted.fixed.is_some() {
            self.space.take_at(page, size)
        } else if page != 0 && !self.rules.on(Rule::F8) {
            self.space.take_at(page, size).or_else(|| self.space.take(size))
        } else {
            self.space.take(size)
        };
        let start = start.ok_or(IoReturn::VM_ERROR)?;
        if self.seen.insert(range.root) && wanted.read_only {
            self.capped.insert(range.root);
        }
        let protected = wanted.read_only || self.capped.contains(&range.root);
        let (address, accessible) = (start + within, size - within);
        Ok(self.push(Entry {
            number: 0,
            range,
            read_only: wanted.read_only,
            protected,
            cache: wanted.cache,
            address,
            accessible,
            over: None,
            holders: Vec::new(),
        }))
    }

    /// A shorter object over a mapping.
    fn add_over(&mut self, number: u64, range: DescriptorRange) -> u64 {
        // An equal one may be there from an earlier map.
        let again = |entry: &&Entry| entry.over == Some(number) && entry.range == range;
        if let Some(entry) = self.entries.iter().find(again) {
            return entry.number;
        }
        let Some(under) = self.entry(number).cloned() else { return number };
        let delta = range.offset - under.range.offset;
        self.push(Entry {
            range,
            address: under.address + delta,
            accessible: under.accessible - delta,
            over: Some(number),
            holders: Vec::new(),
            ..under
        })
    }

    fn push(&mut self, entry: Entry) -> u64 {
        self.made += 1;
        self.entries.push(Entry { number: self.made, ..entry });
        self.made
    }

    fn hold(&mut self, number: u64, connection: u64, memory_type: u32) {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.number == number) else {
            return;
        };
        match entry.holders.iter_mut().find(|held| held.connection == connection) {
            Some(held) => held.maps += 1,
            None => entry.holders.push(Holder { connection, memory_type, maps: 1 }),
        }
    }

    fn describe(&self, number: u64, range: DescriptorRange) -> Option<MappedRange> {
        let entry = self.entry(number)?;
        let length = self.rules.choose(Rule::F13, range.length, entry.range.length);
        let pages = length.div_ceil(PAGE_SIZE).saturating_mul(PAGE_SIZE);
        let length = self.rules.choose(Rule::F10, length, pages);
        // An alias of the same bytes from the same address on goes by the number of what it lies
        // over.
        let alias = entry
            .over
            .filter(|under| self.entry(*under).is_some_and(|under| under.address == entry.address));
        Some(MappedRange {
            number: alias.unwrap_or(number),
            address: entry.address,
            length,
            accessible: entry.accessible,
            offset: entry.range.offset,
            read_only: entry.protected,
        })
    }

    /// Drops what nobody holds any more; what lies over another keeps that alive.
    fn sweep(&mut self) -> Vec<u64> {
        let mut gone = Vec::new();
        // From the youngest on, because what lies over another is younger than that.
        for index in (0..self.entries.len()).rev() {
            let entry = &self.entries[index];
            let under = self.entries.iter().any(|other| other.over == Some(entry.number));
            if entry.holders.is_empty() && !under {
                let entry = self.entries.remove(index);
                gone.push(entry.number);
                if entry.over.is_none() {
                    self.space.give_back(entry.address - entry.address % PAGE_SIZE);
                }
            }
        }
        gone.sort_unstable();
        gone
    }
}
