//! `iig`: headers of dexts in C++.

use crate::exit::Failure;
use crate::output::Output;
use crate::place::shown;
use clap::Args;
use dextape_plugin::header_of_iig;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What headers are made of.
#[derive(Debug, Args)]
pub(crate) struct Iig {
    /// The files; of `Name.iig` comes `Name.h`.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The folder that the headers go to; the file's own by default.
    #[arg(short, long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Makes the headers.
pub(crate) fn run(asked: &Iig, out: &mut Output) -> Result<(), Failure> {
    for file in &asked.files {
        let header = header(file, asked.out.as_deref())?;
        let path = shown(&header);
        out.result(|| path.clone(), || json!({ "file": shown(file), "header": path }))?;
    }
    Ok(())
}

fn header(file: &Path, folder: Option<&Path>) -> Result<PathBuf, Failure> {
    if file.extension().is_none_or(|extension| extension != "iig") {
        let file = shown(file);
        return Err(Failure::environment(format!("make a header of {file}: it is no .iig file")));
    }
    let text = fs_err::read_to_string(file).map_err(Failure::environment)?;
    let header = header_of_iig(&text, &shown(file)).map_err(Failure::environment)?;
    let mut path = file.with_extension("h");
    if let (Some(folder), Some(name)) = (folder, path.file_name()) {
        fs_err::create_dir_all(folder).map_err(Failure::environment)?;
        path = folder.join(name);
    }
    fs_err::write(&path, header).map_err(Failure::environment)?;
    Ok(path)
}
