//! The long proofs about journals, as functions that a test runs on a sample and `cargo xtask prove`
//! in full.

mod client;
mod cost;
mod damage;
mod damage_ring;
mod ended;
mod flight;
mod flight_bound;
mod forge;
mod kill;
mod kill_ring;
mod kinds;
mod recorded_cost;

pub use client::{RECORDED_VICTIM, VictimTime, be_the_recorded_victim, kill_recorded_at_random};
pub use cost::{AppendCost, append_small_call, measure_append};
pub use damage::{Tally, cut_at_every_byte, flip_and_cut, sample_journal};
pub use damage_ring::damage_ring;
pub use ended::{End, end_at_random};
pub use flight::Flight;
pub use flight_bound::{FlightCost, fly};
pub use forge::forge;
pub use kill::{VICTIM, be_the_victim, kill_at_random};
pub use kill_ring::{RING_VICTIM, be_the_ring_victim, cut_while_recording, kill_rings_at_random};
pub use kinds::{append_body, every_kind};
pub use recorded_cost::{RecordedCost, TrivialSystem, make_small_call, measure_recorded_call};
