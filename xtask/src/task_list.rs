//! `list`: what this command line knows.

use crate::Registry;
use crate::exit::Failure;
use crate::output::{Format, Output};
use crate::table::Table;
use serde_json::{Map, Value, json};

/// Lists scenarios with their parameters, then benches and proofs.
pub(crate) fn run(registry: &Registry, out: &mut Output) -> Result<(), Failure> {
    match out.format() {
        Format::Text => text(registry, out),
        Format::Json => out.line(as_json(registry)),
    }
}

fn text(registry: &Registry, out: &mut Output) -> Result<(), Failure> {
    let mut table = Table::new(&["scenario", "about<"]);
    for scenario in registry.scenarios.iter() {
        table.row([scenario.name().to_owned(), scenario.about().to_owned()]);
        for parameter in scenario.parameters() {
            let default = parameter.default;
            let default =
                if default.is_empty() { default.to_owned() } else { format!(" [{default}]") };
            table.row([
                format!("  --param {}", parameter.name),
                format!("{}{default}", parameter.help),
            ]);
        }
    }
    out.line(table)?;
    if !registry.benches.is_empty() {
        let mut table = Table::new(&["bench", "about<"]);
        for bench in &registry.benches {
            table.row([bench.name.to_owned(), bench.about.to_owned()]);
        }
        out.line(format!("\n{table}"))?;
    }
    if !registry.proofs.is_empty() {
        let mut table = Table::new(&["proof", "sample", "full", "shows<"]);
        for proof in &registry.proofs {
            let (sample, full) = (proof.sample.to_string(), proof.full.to_string());
            table.row([proof.name.to_owned(), sample, full, proof.about.to_owned()]);
        }
        out.line(format!("\n{table}"))?;
    }
    Ok(())
}

fn as_json(registry: &Registry) -> Value {
    let scenarios: Map<String, Value> = registry
        .scenarios
        .iter()
        .map(|scenario| {
            let parameters: Map<String, Value> = scenario
                .parameters()
                .iter()
                .map(|each| {
                    let value = json!({ "default": each.default, "help": each.help });
                    (each.name.to_owned(), value)
                })
                .collect();
            let value = json!({ "about": scenario.about(), "parameters": parameters });
            (scenario.name().to_owned(), value)
        })
        .collect();
    let benches: Vec<_> = registry.benches.iter().map(|bench| bench.name).collect();
    let proofs: Vec<_> = registry.proofs.iter().map(|proof| proof.name).collect();
    json!({ "scenarios": scenarios, "benches": benches, "proofs": proofs })
}
