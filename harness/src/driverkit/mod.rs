//! The dext's side: user clients, descriptors, actions, queues and timers under DriverKit's names.
