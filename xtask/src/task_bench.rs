//! `bench`: measures, and prints one table.

use crate::exit::Failure;
use crate::output::{Format, Output};
use crate::table::Table;
use crate::{Measure, Registry, progress};
use serde_json::json;

/// Measures with the benches whose names contain one of `names`; with all of them where there are no
/// names. A figure that misses its goal is shown as missed and fails nothing.
pub(crate) fn run(registry: &Registry, names: &[String], out: &mut Output) -> Result<(), Failure> {
    let chosen = |name: &str| names.is_empty() || names.iter().any(|part| name.contains(&**part));
    let benches: Vec<_> = registry.benches.iter().filter(|bench| chosen(bench.name)).collect();
    if benches.is_empty() {
        let known: Vec<_> = registry.benches.iter().map(|bench| bench.name).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(Failure::environment(format!("find such a bench: there are {known}")));
    }
    if cfg!(debug_assertions) {
        eprintln!(
            "note: a debug build; for figures that mean something: cargo run --release -p xtask -- bench"
        );
    }
    let bar = progress::bar("bench", benches.len() as u64);
    let mut table =
        Table::new(&["bench", "what<", "figure", "unit<", "instructions", "goal<", "verdict<"]);
    for bench in benches {
        let measures = (bench.run)()
            .map_err(|error| Failure::environment(format!("run bench {}: {error}", bench.name)))?;
        for measure in &measures {
            match out.format() {
                Format::Text => table.row(cells(bench.name, measure)),
                Format::Json => out.line(json!({
                    "bench": bench.name,
                    "what": measure.what,
                    "value": measure.value,
                    "unit": measure.unit.to_string(),
                    "instructions": measure.instructions,
                    "goal": measure.goal.map(|goal| goal.to_string()),
                    "met": measure.goal.map(|goal| goal.is_met(measure.value)),
                }))?,
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    match out.format() {
        Format::Text => out.line(table),
        Format::Json => Ok(()),
    }
}

fn cells(bench: &str, measure: &Measure) -> [String; 7] {
    let verdict = match measure.goal {
        None => "",
        Some(goal) if goal.is_met(measure.value) => "met",
        Some(_) => "missed",
    };
    [
        bench.to_owned(),
        measure.what.clone(),
        figure(measure.value),
        measure.unit.to_string(),
        measure.instructions.map(figure).unwrap_or_default(),
        measure.goal.map(|goal| goal.to_string()).unwrap_or_default(),
        verdict.to_owned(),
    ]
}

/// A figure with the digits that mean something.
fn figure(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        _ if value.fract() == 0.0 => format!("{value:.0}"),
        medium if medium >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_digits_that_mean_something() {
        let shown: Vec<_> = [1234.56, 12.34, 3.0, 0.1234, 0.0].into_iter().map(figure).collect();
        assert_eq!(shown, ["1235", "12.3", "3", "0.123", "0"]);
    }
}
