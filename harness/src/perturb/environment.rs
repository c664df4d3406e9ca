//! What the environment asks of a check.

use super::Check;

impl Check {
    /// Does what the environment asks for: `DEXTAPE_SEED` (`7`, or `7/31` for one run of seed 7),
    /// `DEXTAPE_SCHEDULES` and `DEXTAPE_DEVIATIONS` (a list or, after `@`, the file that has it).
    ///
    /// # Panics
    ///
    /// Where one of them is not what it should be, with what it should be.
    pub fn from_environment(self) -> Self {
        let read = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        match self.configured(|name| read(name).map(|value| value.to_string_lossy().into_owned())) {
            Ok(check) => check,
            Err(error) => panic!("failed to {error}"),
        }
    }

    fn configured(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let number =
            |name: &str, value: &str, whole: &str, expected: &str| -> Result<u64, String> {
                let wrong = |_| format!("read {name}={whole:?}: expected {expected}");
                value.trim().parse().map_err(wrong)
            };
        let seeds = "a number such as 7, or 7/31 for run 31 of seed 7";
        if let Some(value) = variable("DEXTAPE_SCHEDULES") {
            let expected = "how many runs to make, such as 5000";
            self = self.schedules(number("DEXTAPE_SCHEDULES", &value, &value, expected)?);
        }
        if let Some(value) = variable("DEXTAPE_SEED") {
            let (seed, schedule) = match value.split_once('/') {
                Some((seed, schedule)) => (seed, Some(schedule)),
                None => (&*value, None),
            };
            self = self.seed(number("DEXTAPE_SEED", seed, &value, seeds)?);
            if let Some(schedule) = schedule {
                self = self.only(number("DEXTAPE_SEED", schedule, &value, seeds)?);
            }
        }
        if let Some(value) = variable("DEXTAPE_DEVIATIONS") {
            let text = match value.strip_prefix('@') {
                Some(file) => std::fs::read_to_string(file).map_err(|error| {
                    format!("read the deviations in {file} (DEXTAPE_DEVIATIONS): {error}")
                })?,
                None => value,
            };
            let list = text.parse().map_err(|error| format!("{error} (in DEXTAPE_DEVIATIONS)"))?;
            self = self.deviations(list);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturb::check::SCHEDULES;

    fn configured(set: &[(&str, &str)]) -> Result<Check, String> {
        let check =
            Check::mock(1, |schedule, _| crate::kernel::MockSystem::builder(schedule).build());
        check.configured(|name| {
            set.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_says_which_runs_are_made() {
        let check = configured(&[("DEXTAPE_SEED", "7/2000"), ("DEXTAPE_SCHEDULES", "50")]).unwrap();
        assert_eq!((check.seed, check.only, check.schedules), (7, Some(2000), 2001));
        let check = configured(&[("DEXTAPE_SEED", "9")]).unwrap();
        assert_eq!((check.seed, check.only, check.schedules), (9, None, SCHEDULES));
        let text = "priorities 3; fault open: error Busy";
        let check = configured(&[("DEXTAPE_DEVIATIONS", text)]).unwrap();
        assert_eq!(check.list.unwrap().to_string(), text);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list");
        std::fs::write(&file, text).unwrap();
        let check = configured(&[("DEXTAPE_DEVIATIONS", &format!("@{}", file.display()))]).unwrap();
        assert_eq!(check.list.unwrap().to_string(), text);
    }

    #[test]
    fn what_the_environment_cannot_say_is_told() {
        let wrong = |name: &str, value: &str| {
            format!("failed to {}", configured(&[(name, value)]).unwrap_err())
        };
        insta::assert_snapshot!([
            wrong("DEXTAPE_SEED", "x"),
            wrong("DEXTAPE_SEED", "7/"),
            wrong("DEXTAPE_SEED", "7/31/2"),
            wrong("DEXTAPE_SEED", "-1"),
            wrong("DEXTAPE_SCHEDULES", "many"),
            wrong("DEXTAPE_SCHEDULES", "99999999999999999999"),
            wrong("DEXTAPE_DEVIATIONS", "post 1: lost"),
            wrong("DEXTAPE_DEVIATIONS", "@/no/such/file"),
        ].join("\n"), @r#"
        failed to read DEXTAPE_SEED="x": expected a number such as 7, or 7/31 for run 31 of seed 7
        failed to read DEXTAPE_SEED="7/": expected a number such as 7, or 7/31 for run 31 of seed 7
        failed to read DEXTAPE_SEED="7/31/2": expected a number such as 7, or 7/31 for run 31 of seed 7
        failed to read DEXTAPE_SEED="-1": expected a number such as 7, or 7/31 for run 31 of seed 7
        failed to read DEXTAPE_SCHEDULES="many": expected how many runs to make, such as 5000
        failed to read DEXTAPE_SCHEDULES="99999999999999999999": expected how many runs to make, such as 5000
        failed to read deviation 1 ("post 1: lost"): expected `early TIME` or `late TIME` for a completion (in DEXTAPE_DEVIATIONS)
        failed to read the deviations in /no/such/file (DEXTAPE_DEVIATIONS): No such file or directory (os error 2)
        "#);
    }
}
