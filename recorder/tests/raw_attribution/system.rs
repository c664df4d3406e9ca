//! A system with one service, whose connections map one memory.

use dextape::IoReturn;
use dextape::call::{ConnectionId, MapOptions, MemoryId, ServiceId};
use dextape::connection::{
    AsyncWake, CompletionQueue, Connection, Mapping, Matching, MethodInput, MethodOutput,
    NoticeQueue, OtherCall, OtherReply, System, Value,
};
use dextape::memory::Memory;
use dextape::schedule::Schedule;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct OneMemory {
    pub(crate) schedule: Schedule,
    pub(crate) memory: Arc<dyn Memory>,
}

impl System for OneMemory {
    fn matching_services(&self, _: &Matching) -> Result<Vec<ServiceId>, IoReturn> {
        Ok(vec![ServiceId(1)])
    }

    fn property(&self, _: ServiceId, _: &str) -> Result<Option<Value>, IoReturn> {
        Ok(None)
    }

    fn properties(&self, _: ServiceId) -> Result<BTreeMap<String, Value>, IoReturn> {
        Ok(BTreeMap::new())
    }

    fn open(&self, _: ServiceId, _: u32) -> Result<Box<dyn Connection>, IoReturn> {
        Ok(Box::new(Open(Arc::clone(&self.memory))))
    }

    fn watch(&self, _: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn> {
        Err(IoReturn::UNSUPPORTED)
    }

    fn completion_queue(&self) -> Arc<dyn CompletionQueue> {
        unreachable!("nobody waits here")
    }

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }
}

#[derive(Debug)]
struct Open(Arc<dyn Memory>);

impl Connection for Open {
    fn id(&self) -> ConnectionId {
        ConnectionId(1)
    }

    fn call_method(&self, _: u32, _: &MethodInput<'_>, _: &mut MethodOutput<'_>) -> IoReturn {
        IoReturn::SUCCESS
    }

    fn call_async_method(
        &self,
        _: u32,
        _: &AsyncWake<'_>,
        _: &MethodInput<'_>,
        _: &mut MethodOutput<'_>,
    ) -> IoReturn {
        IoReturn::UNSUPPORTED
    }

    fn map_memory(&self, kind: u32, _: MapOptions, _: u64) -> Result<Mapping, IoReturn> {
        let size = self.0.size();
        Ok(Mapping::new(MemoryId(1), kind, 0x10_0000, size, Arc::clone(&self.0)))
    }

    fn unmap_memory(&self, _: u32, _: u64) -> IoReturn {
        IoReturn::SUCCESS
    }

    fn other_call(&self, _: &OtherCall<'_>) -> OtherReply {
        Err(IoReturn::UNSUPPORTED)
    }

    fn close(&self) -> IoReturn {
        IoReturn::SUCCESS
    }
}
