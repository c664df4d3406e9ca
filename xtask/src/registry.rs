//! What a program's `cargo xtask` knows.

use crate::{Bench, Proof, measures, proofs};
use dextape_scenarios as scenarios;

/// The scenarios, benches and proofs that a command line offers.
#[derive(Debug)]
pub struct Registry {
    pub(crate) scenarios: scenarios::Registry,
    pub(crate) benches: Vec<Bench>,
    pub(crate) proofs: Vec<Proof>,
}

impl Registry {
    /// These scenarios, and no benches or proofs.
    #[must_use]
    pub fn new(scenarios: scenarios::Registry) -> Self {
        Self { scenarios, benches: Vec::new(), proofs: Vec::new() }
    }

    /// Adds a bench.
    #[must_use]
    pub fn bench(mut self, bench: Bench) -> Self {
        self.benches.push(bench);
        self
    }

    /// Adds a proof.
    #[must_use]
    pub fn proof(mut self, proof: Proof) -> Self {
        self.proofs.push(proof);
        self
    }
}

/// What this workspace offers.
#[must_use]
pub fn registry() -> Registry {
    let registry = Registry::new(scenarios::registry());
    let registry =
        measures::BENCHES.iter().fold(registry, |registry, bench| registry.bench(*bench));
    proofs::PROOFS.iter().fold(registry, |registry, proof| registry.proof(*proof))
}
