//! `adopt`: a tape that brought a failure about is kept, with a test that runs it.

use crate::exit::Failure;
use crate::output::Output;
use crate::place::{fixtures, shown, workspace};
use clap::Args;
use dextape_lab::{Failure as Wanted, Regression, RegressionError};
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// What is kept, and how it is run.
#[derive(Debug, Args)]
pub(crate) struct Adopt {
    /// The tape, as `minimize` made it.
    tape: PathBuf,
    /// Name of the test and of the tape; that of the file by default.
    #[arg(long, value_parser = name)]
    name: Option<String>,
    /// The client in C that failed, as a source that is compiled for the test.
    #[arg(long, value_name = "FILE", conflicts_with = "runs")]
    source: Option<PathBuf>,
    /// Argument of the client in C; may be given several times.
    #[arg(long = "argument", value_name = "TEXT", requires = "source", allow_hyphen_values = true)]
    arguments: Vec<String>,
    /// What runs, as an expression of Rust where the test stands: a function of the system for a client, of
    /// the mock for a dext. What the tape's own scenario has by default.
    #[arg(long, value_name = "EXPRESSION")]
    runs: Option<String>,
    /// Folder of the test, whose `main.rs` declares it; by default `scenarios/tests/regressions`, or
    /// `scenarios/libiokit/tests/regressions` with --source.
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
}

/// A name of a test, which is one of a module, too.
fn name(text: &str) -> Result<String, String> {
    let fits = text.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_')
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && !["main", "support", "mod"].contains(&text);
    if fits { Ok(text.to_owned()) } else { Err("expected a name such as late_answer".to_owned()) }
}

/// Keeps a tape.
pub(crate) fn run(asked: &Adopt, out: &mut Output) -> Result<(), Failure> {
    let regression = Regression::read(&asked.tape).map_err(|error| match error {
        RegressionError::Tape(error) => Failure::tape(&error),
        error => Failure::invalid(error),
    })?;
    let name = match &asked.name {
        Some(name) => name.clone(),
        None => name_of(&asked.tape)?,
    };
    let folder = match (&asked.into, &asked.source) {
        (Some(folder), _) => folder.clone(),
        (None, None) => workspace().join("scenarios/tests/regressions"),
        (None, Some(_)) => workspace().join("scenarios/libiokit/tests/regressions"),
    };
    let folder = std::path::absolute(&folder).map_err(Failure::environment)?;
    let tape = fixtures().join("regressions").join(format!("{name}.tape.jsonl"));
    let test = folder.join(format!("{name}.rs"));
    for taken in [&tape, &test] {
        if taken.exists() {
            return Err(Failure::environment(format!(
                "adopt {}: {} is there already; --name gives it another name",
                shown(&asked.tape),
                shown(taken)
            )));
        }
    }
    let package = folder.ancestors().find(|folder| folder.join("Cargo.toml").is_file());
    let package = package.ok_or_else(|| {
        Failure::environment(format!(
            "find the package of {}: --into names a folder of one",
            shown(&folder)
        ))
    })?;
    let from_package = relative(package, &tape);
    let text = test_of(asked, &regression, &name, &from_package, package)?;
    let main = main_with(&folder.join("main.rs"), &name)?;
    fs_err::create_dir_all(&folder).map_err(Failure::environment)?;
    fs_err::create_dir_all(fixtures().join("regressions")).map_err(Failure::environment)?;
    regression.tape().write(&tape).map_err(|error| Failure::tape(&error))?;
    create(&test, &text)?;
    // Only for the looks of it: where there is none, or the expression is none, the compiler tells.
    let _looks = Command::new("rustfmt").args(["--edition", "2024"]).arg(&test).output();
    fs_err::write(folder.join("main.rs"), main).map_err(Failure::environment)?;
    out.result(
        || {
            format!(
                "kept for {}\n{}\n{}\nthe test fails as long as that comes again",
                regression.failure(),
                shown(&tape),
                shown(&test)
            )
        },
        || json!({ "name": name, "tape": shown(&tape), "test": shown(&test), "failure": regression.failure() }),
    )
}

/// Writes a file that is not there yet.
fn create(path: &Path, text: &str) -> Result<(), Failure> {
    let mut options = fs_err::OpenOptions::new();
    let mut file = options.write(true).create_new(true).open(path).map_err(Failure::environment)?;
    file.write_all(text.as_bytes()).map_err(Failure::environment)
}

fn name_of(tape: &Path) -> Result<String, Failure> {
    let file = tape.file_name().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = file.split('.').next().unwrap_or_default().replace('-', "_").to_lowercase();
    name(&stem).map_err(|expected| {
        Failure::environment(format!("name the test after {file}: {expected}; --name gives it one"))
    })
}

/// The way from one folder to a file, both absolute.
fn relative(from: &Path, to: &Path) -> String {
    let to = std::path::absolute(to).unwrap_or_else(|_| to.to_owned());
    let parts = |path: &Path| -> Vec<String> {
        let normal = path.components().filter(|part| matches!(part, Component::Normal(_)));
        normal.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
    };
    let (from, to) = (parts(from), parts(&to));
    let shared = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - shared);
    up.chain(to[shared..].iter().cloned()).collect::<Vec<_>>().join("/")
}

/// The text of the test.
fn test_of(
    asked: &Adopt,
    regression: &Regression,
    name: &str,
    tape: &str,
    package: &Path,
) -> Result<String, Failure> {
    let failure = regression.failure();
    let of_client = matches!(failure, Wanted::Client { .. });
    let scenario = regression.tape().header().scenario.as_ref().map(|it| it.name.clone());
    let run = match (&asked.source, &asked.runs) {
        (Some(source), _) => {
            let source = fs_err::canonicalize(source).map_err(Failure::environment)?;
            let arguments: Vec<_> = asked.arguments.iter().map(|it| format!("{it:?}")).collect();
            let source = relative(package, &source);
            format!("crate::support::program(&regression, {source:?}, &[{}])", arguments.join(", "))
        }
        (None, Some(expression)) if regression.baseline().is_some() => {
            format!("crate::support::client_over(&regression, {expression})")
        }
        (None, Some(expression)) if of_client => format!("regression.client({expression})"),
        (None, Some(expression)) => format!("regression.dext({expression})"),
        (None, None) => {
            let Some(scenario) = scenario else {
                return Err(Failure::environment(format!(
                    "adopt {}: its header names no scenario; --source names a client in C, --runs one in \
                     Rust",
                    shown(&asked.tape)
                )));
            };
            let what = if of_client { "client" } else { "dext" };
            format!("crate::support::{what}(&regression, {scenario:?})")
        }
    };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "//! Kept by `cargo xtask adopt`: what the tape brought about must not come again.\n\n\
         use dextape_lab::Regression;\n\n\
         /// {}\n\
         #[test]\n\
         fn {name}() {{\n    \
             let tape = concat!(env!(\"CARGO_MANIFEST_DIR\"), {:?});\n    \
             let regression = Regression::read(tape.as_ref()).unwrap();\n    \
             {run}.unwrap();\n\
         }}\n",
        one_line(&failure.to_string()),
        format!("/{tape}"),
    );
    Ok(text)
}

/// A text that can stand in a comment.
fn one_line(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect()
}

/// What declares the tests, with one more.
fn main_with(path: &Path, name: &str) -> Result<String, Failure> {
    let declared = format!("mod {name};\n");
    if !path.is_file() {
        return Ok(format!("//! Failures that were found once, each with its tape.\n\n{declared}"));
    }
    let text = fs_err::read_to_string(path).map_err(Failure::environment)?;
    if text.lines().any(|line| line.trim() == declared.trim()) {
        return Err(Failure::environment(format!(
            "adopt as {name}: {} has it already",
            shown(path)
        )));
    }
    let mut lines: Vec<&str> = text.lines().collect();
    let is_module = |line: &&str| line.starts_with("mod ") && line.ends_with(';');
    let later = lines.iter().position(|line| is_module(line) && *line > declared.trim());
    let last = lines.iter().rposition(is_module).map(|last| last + 1);
    lines.insert(later.or(last).unwrap_or(lines.len()), declared.trim());
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_modules() {
        assert_eq!(name_of(Path::new("a/late-answer.tape.jsonl")).unwrap(), "late_answer");
        for bad in ["7th", "", "a b", "main", "a/b", "_x"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_way_goes_up_and_down() {
        assert_eq!(
            relative(Path::new("/w/scenarios"), Path::new("/w/fixtures/a")),
            "../fixtures/a"
        );
        assert_eq!(relative(Path::new("/w"), Path::new("/w/fixtures/a")), "fixtures/a");
        assert_eq!(relative(Path::new("/w/a/b"), Path::new("/w/c")), "../../c");
    }

    #[test]
    fn tests_are_declared_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("main.rs");
        let fresh = main_with(&main, "b").unwrap();
        assert!(fresh.ends_with("\n\nmod b;\n"), "{fresh}");
        fs_err::write(&main, "//! What.\n\nmod b;\nmod support;\n").unwrap();
        assert_eq!(main_with(&main, "a").unwrap(), "//! What.\n\nmod a;\nmod b;\nmod support;\n");
        assert_eq!(main_with(&main, "z").unwrap(), "//! What.\n\nmod b;\nmod support;\nmod z;\n");
        assert!(main_with(&main, "b").is_err());
    }
}
