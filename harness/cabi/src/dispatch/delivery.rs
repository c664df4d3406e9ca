//! What comes to a port, handed to a queue.

use super::queue::Queue;
use crate::cf::CfRef;
use crate::port::{Port, Signal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What takes them.
type Take = Arc<dyn Fn(&Arc<Port>) + Send + Sync>;

/// A port whose messages are taken on a queue, until this is dropped.
#[derive(Debug)]
pub(crate) struct Delivery {
    over: Arc<AtomicBool>,
    signal: Arc<Signal>,
}

impl Delivery {
    /// Has `take` run on the queue whenever something may have come to the port.
    pub(crate) fn start(
        port: &Arc<Port>,
        queue: CfRef,
        take: impl Fn(&Arc<Port>) + Send + Sync + 'static,
    ) -> Self {
        Self::on(port, Queue::of(queue), Arc::new(take))
    }

    fn on(port: &Arc<Port>, queue: Arc<Queue>, take: Take) -> Self {
        let (over, signal) = (Arc::new(AtomicBool::new(false)), Arc::new(Signal::default()));
        let delivery = Self { over: Arc::clone(&over), signal: Arc::clone(&signal) };
        let port = Arc::clone(port);
        let started =
            std::thread::Builder::new().name("dextape port".to_owned()).spawn(move || {
                crate::guard::guard("deliver messages to a queue", || {
                    while !over.load(Ordering::Acquire) && !port.is_dead() {
                        let most = port.listen(&signal);
                        let (mine, take, over) =
                            (Arc::clone(&port), Arc::clone(&take), Arc::clone(&over));
                        queue.push_and_wait(Box::new(move || {
                            if !over.load(Ordering::Acquire) {
                                take(&mine);
                            }
                        }));
                        signal.wait(most.map(|most| Instant::now() + most));
                    }
                });
            });
        if let Err(error) = started {
            crate::say::say(&format!("failed to start a thread for a port: {error}"));
        }
        delivery
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.signal.notify();
    }
}
