//! Bundles: apps and dexts, by their `Info.plist`.

use super::image::MachoError;
use super::property_list::read_property_list;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Far more bytes than an `Info.plist` has.
const INFO_MAX: u64 = 1 << 20;

/// What the `Info.plist` of a bundle says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BundleInfo {
    /// Name of the file that is executed.
    executable: Option<String>,
    /// `CFBundleIdentifier`.
    pub(crate) identifier: Option<String>,
    /// `CFBundleShortVersionString`.
    pub(crate) version: Option<String>,
    /// `CFBundleVersion`.
    pub(crate) build: Option<String>,
}

impl BundleInfo {
    /// Reads that of the bundle at `path`; `None` where that is a file.
    ///
    /// # Errors
    ///
    /// [`MachoError`] where a folder is no bundle.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, MachoError> {
        if !path.is_dir() {
            return Ok(None);
        }
        let info = info_of(path);
        let form = |message: String| MachoError::Form { path: info.clone(), message };
        let io = |source| MachoError::Io { path: info.clone(), source };
        let mut bytes = Vec::new();
        std::fs::File::open(&info)
            .map_err(io)?
            .take(INFO_MAX)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        let value = read_property_list(&bytes)
            .map_err(|message| form(format!("{message} (name the program inside the bundle)")))?;
        let text = |key: &str| Some(value.as_dictionary()?.get(key)?.as_string()?.to_owned());
        Ok(Some(Self {
            executable: text("CFBundleExecutable"),
            identifier: text("CFBundleIdentifier"),
            version: text("CFBundleShortVersionString"),
            build: text("CFBundleVersion"),
        }))
    }

    /// The file that is executed: of a bundle what its `Info.plist` says.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and where it does not say it.
    pub(super) fn executable_of(path: &Path) -> Result<PathBuf, MachoError> {
        let Some(info) = Self::read(path)? else { return Ok(path.to_owned()) };
        let form = |message: String| MachoError::Form { path: info_of(path), message };
        let name = info
            .executable
            .ok_or_else(|| form("expected the text CFBundleExecutable".to_owned()))?;
        if name.contains('/') || name.starts_with("..") {
            return Err(form(format!(
                "expected a file's name as CFBundleExecutable, found {name:?}"
            )));
        }
        let inside = if is_flat(path) { path.to_owned() } else { path.join("Contents/MacOS") };
        Ok(inside.join(name))
    }
}

/// True for a bundle without `Contents`, as a dext is one.
fn is_flat(path: &Path) -> bool {
    !path.join("Contents").is_dir() && path.join("Info.plist").is_file()
}

fn info_of(path: &Path) -> PathBuf {
    if is_flat(path) { path.join("Info.plist") } else { path.join("Contents/Info.plist") }
}
