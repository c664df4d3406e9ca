//! Where each rule is tested.

use super::Rule;

/// Where a rule is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleTest {
    /// The rule.
    pub rule: Rule,
    /// The file of its test, from the root of the workspace.
    pub file: &'static str,
}

impl RuleTest {
    /// Name of the trial that keeps the rule; `<name>::switched_off` is the one that breaks it.
    #[must_use]
    pub fn trial(&self) -> String {
        format!("rule::{}", self.rule)
    }
}

/// Every rule with the place of its test, in order of number.
///
/// # Examples
///
/// ```
/// use dextape::boundary::{Rule, tests_by_rule};
///
/// let test = tests_by_rule().find(|test| test.rule == Rule::A5).unwrap();
/// assert_eq!(test.file, "harness/tests/rules/a.rs");
/// assert_eq!(test.trial(), "rule::A5");
/// ```
pub fn tests_by_rule() -> impl Iterator<Item = RuleTest> {
    Rule::ALL.iter().map(|rule| {
        let file = match rule.number().as_bytes()[0] {
            b'A' => "harness/tests/rules/a.rs",
            b'B' => "harness/tests/rules/b.rs",
            b'C' => "harness/tests/rules/c.rs",
            b'D' if matches!(rule, Rule::D15 | Rule::D16 | Rule::D22) => {
                "harness/tests/rules/d_message.rs"
            }
            b'D' => "harness/tests/rules/d.rs",
            b'E' => "harness/tests/rules/e.rs",
            b'F' if *rule < Rule::F15 => "harness/tests/rules/f.rs",
            b'F' => "harness/tests/rules/f_unmap.rs",
            b'G' => "harness/tests/rules/g.rs",
            b'H' => "harness/tests/rules/h.rs",
            b'I' => "harness/tests/rules/i.rs",
            b'J' => "harness/tests/rules/j.rs",
            _ => "harness/tests/rules/k.rs",
        };
        RuleTest { rule: *rule, file }
    })
}
