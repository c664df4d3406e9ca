//! `IOConnectMapMemory64` and `IOConnectUnmapMemory64` (group F).

use super::connection::MockConnection;
use super::dext::upcall_client;
use crate::IoReturn;
use crate::boundary::{
    DescriptorRange, LockedOperation, MapRequest, Operation, came_out, is_read_only, map_failure,
    memory_type as type_seen, unmap_failure, unmap_without_memory,
};
use crate::call::MapOptions;
use crate::connection::Mapping;
use crate::driverkit::Direction;
use crate::driverkit::bridge::{ClientMemory, ClientMemoryCall, copy_client_memory};

impl MockConnection {
    pub(super) fn map(
        &self,
        memory_type: u32,
        options: MapOptions,
        address: u64,
    ) -> Result<Mapping, IoReturn> {
        let rules = self.kernel.rules;
        self.link.state().check(rules)?;
        let _visit = self.link.come(&self.kernel, LockedOperation::Map);
        self.kernel.schedule.yield_now();
        let failure = |code| map_failure(rules, code);
        self.link.dext.reachable(rules).map_err(failure)?;
        let answer = self.ask_for_memory(memory_type, ClientMemoryCall::Map);
        came_out(rules, Operation::Map, self.link.meanwhile())?;
        let memory = answer.map_err(failure)?.ok_or_else(|| failure(IoReturn::NO_MEMORY))?;
        let request = MapRequest {
            connection: self.link.id.0,
            memory_type,
            descriptor: self.range(&memory),
            read_only: self.is_read_only(&memory, options),
            options,
            address,
        };
        let mapping = self.kernel.task().map(&request, &memory.store).map_err(failure)?;
        self.link.state().mapped();
        Ok(mapping)
    }

    pub(super) fn unmap(&self, memory_type: u32, address: u64) -> IoReturn {
        let rules = self.kernel.rules;
        if let Err(refused) = self.link.state().check(rules) {
            return refused;
        }
        let _visit = self.link.come(&self.kernel, LockedOperation::Unmap);
        self.kernel.schedule.yield_now();
        if let Err(code) = self.link.dext.reachable(rules) {
            return unmap_failure(rules, code);
        }
        let answer = self.ask_for_memory(memory_type, ClientMemoryCall::Unmap);
        if let Err(died) = came_out(rules, Operation::Unmap, self.link.meanwhile()) {
            return died;
        }
        let memory = match answer {
            Ok(Some(memory)) => memory,
            Ok(None) => return unmap_without_memory(rules),
            Err(code) => return unmap_failure(rules, code),
        };
        let read_only = self.is_read_only(&memory, MapOptions(0));
        let mut task = self.kernel.task();
        let connection = self.link.id.0;
        match task.table.unmap(connection, memory_type, self.range(&memory), read_only, address) {
            Ok(gone) => {
                task.end(&gone);
                IoReturn::SUCCESS
            }
            Err(code) => code,
        }
    }

    /// Asks the dext which memory it means, now (F4, F15).
    fn ask_for_memory(
        &self,
        memory_type: u32,
        purpose: ClientMemoryCall,
    ) -> Result<Option<ClientMemory>, IoReturn> {
        let (link, rules) = (&*self.link, self.kernel.rules);
        let mut refused = false;
        let user_client = link.user_client().ok_or(IoReturn::MIG_SERVER_DIED)?;
        let seen = type_seen(rules, memory_type);
        let answer =
            upcall_client(rules, link.dext.process(), (&*user_client, &link.default_queue), || {
                copy_client_memory(
                    link.dext.process(),
                    link.id.0,
                    seen,
                    purpose,
                    |seen, options, memory| {
                        let own = || user_client.copy_client_memory_for_type(seen, options, memory);
                        let (result, no_room) =
                            self.kernel.faulty_memory(link, memory_type, purpose, own);
                        refused = no_room;
                        result
                    },
                )
            });
        let answer = answer.unwrap_or(Err(IoReturn::MIG_SERVER_DIED))?;
        if refused { Err(IoReturn::VM_ERROR) } else { Ok(answer) }
    }

    fn is_read_only(&self, memory: &ClientMemory, options: MapOptions) -> bool {
        let out = memory.direction == Direction::OUT;
        is_read_only(self.kernel.rules, options, memory.options, out)
    }

    /// The descriptor as the client's task knows it. Numbers of objects are those of one process.
    fn range(&self, memory: &ClientMemory) -> DescriptorRange {
        let process = self.link.dext.id().0;
        DescriptorRange { root: process << 40 | memory.descriptor.root, ..memory.descriptor }
    }
}
