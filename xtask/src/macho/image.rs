//! A program's file: one Mach-O image, or one for each processor.

use super::bundle::BundleInfo;
use super::signature::{Signature, read_signature};
use object::macho::{
    CPU_SUBTYPE_ARM64E, CPU_SUBTYPE_MASK, CPU_TYPE_ARM64, CPU_TYPE_X86_64, LC_BUILD_VERSION,
    LC_CODE_SIGNATURE, LC_VERSION_MIN_MACOSX, MachHeader64, PLATFORM_MACOS,
};
use object::read::macho::{
    FatArch, LoadCommandVariant, MachHeader, MachOFatFile32, MachOFatFile64, Section as _,
    Segment as _,
};
use object::{Endianness, FileKind, ReadCache, ReadRef};
use std::fmt;
use std::path::{Path, PathBuf};

/// Images of one file that are looked at.
const SLICES_MAX: usize = 16;

/// Bytes of load commands; real ones have some ten thousand.
const COMMANDS_MAX: u32 = 4 << 20;

/// Libraries whose names are kept.
const LIBRARIES_MAX: usize = 4096;

/// Bytes of a library's name that are kept.
const NAME_MAX: usize = 1024;

/// Why a program cannot be read. The texts complete "failed to ...".
#[derive(Debug, thiserror::Error)]
pub(crate) enum MachoError {
    /// It cannot be opened.
    #[error("read {}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// It is something else, or broken.
    #[error("read {}: {message}", path.display())]
    Form { path: PathBuf, message: String },
}

/// A program for macOS.
#[derive(Debug)]
pub(crate) struct Program {
    /// The file that is executed.
    pub(crate) path: PathBuf,
    /// It runs as another user than the one who starts it.
    pub(crate) changes_user: bool,
    /// Its images, one for each processor.
    pub(crate) slices: Vec<Slice>,
}

/// What an image is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    X86_64,
    Arm64,
    /// With signed pointers: what Apple makes its own programs for.
    Arm64e,
    /// Type and subtype of another one.
    Other(u32, u32),
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X86_64 => f.write_str("x86_64"),
            Self::Arm64 => f.write_str("arm64"),
            Self::Arm64e => f.write_str("arm64e"),
            Self::Other(kind, subtype) => write!(f, "processor {kind:#x}.{subtype:#x}"),
        }
    }
}

/// One image.
#[derive(Debug)]
pub(crate) struct Slice {
    /// The processor.
    pub(crate) architecture: Architecture,
    /// The platform by its number, where it is said and not macOS.
    pub(crate) other_platform: Option<u32>,
    /// The oldest macOS, as `0xXXXXYYZZ`.
    pub(crate) oldest: Option<u32>,
    /// It is an executable, and dyld loads its libraries.
    pub(crate) is_dynamic_executable: bool,
    /// It has a section by which it asks for no variables of dyld.
    pub(crate) has_restrict_section: bool,
    /// The libraries that it is linked against.
    pub(crate) libraries: Vec<String>,
    /// What it is signed with; `None` where it is not signed.
    pub(crate) signature: Option<Signature>,
}

impl Slice {
    /// True where it is linked against a library with this name, or a framework.
    pub(crate) fn links(&self, name: &str) -> bool {
        self.libraries.iter().any(|path| path.rsplit('/').next() == Some(name))
    }
}

impl Program {
    /// Reads the program at `path`, or that of the app there.
    ///
    /// # Errors
    ///
    /// [`MachoError`] where there is none, or it is no Mach-O program.
    pub(crate) fn read(path: &Path) -> Result<Self, MachoError> {
        let path = BundleInfo::executable_of(path)?;
        let io = |source| MachoError::Io { path: path.clone(), source };
        let file = std::fs::File::open(&path).map_err(io)?;
        let about = file.metadata().map_err(io)?;
        let form = |message: String| MachoError::Form { path: path.clone(), message };
        if !about.is_file() {
            return Err(form("expected a program's file or an app".to_owned()));
        }
        let cache = ReadCache::new(file);
        let slices = slices(&cache).map_err(form)?;
        Ok(Self { changes_user: changes_user(&about), slices, path })
    }
}

#[cfg(unix)]
fn changes_user(about: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    about.mode() & 0o6000 != 0
}

#[cfg(not(unix))]
fn changes_user(_about: &std::fs::Metadata) -> bool {
    false
}

/// The images of a file.
///
/// # Errors
///
/// What was expected instead.
pub(super) fn slices<'data, R: ReadRef<'data>>(data: R) -> Result<Vec<Slice>, String> {
    fn each<'data, R: ReadRef<'data>, F: FatArch>(
        data: R,
        all: &[F],
    ) -> Result<Vec<Slice>, String> {
        if all.is_empty() || all.len() > SLICES_MAX {
            return Err(format!("expected 1 to {SLICES_MAX} processors, found {}", all.len()));
        }
        let architecture = |one: &F| architecture(one.cputype(), one.cpusubtype());
        all.iter()
            .map(|one| {
                let (start, size) = one.file_range();
                slice(data, start, size)
                    .map_err(|message| format!("{message} in the part for {}", architecture(one)))
            })
            .collect()
    }
    let length = data.len().map_err(|()| "the file cannot be read".to_owned())?;
    match FileKind::parse(data) {
        Ok(FileKind::MachO64) => Ok(vec![slice(data, 0, length)?]),
        Ok(FileKind::MachOFat32) => {
            each(data, MachOFatFile32::parse(data).map_err(|it| it.to_string())?.arches())
        }
        Ok(FileKind::MachOFat64) => {
            each(data, MachOFatFile64::parse(data).map_err(|it| it.to_string())?.arches())
        }
        Ok(FileKind::MachO32) => Err("a program of 32 bits, which no macOS since 10.15 runs \
                                      (build it for x86_64 or arm64)"
            .to_owned()),
        Ok(kind) => Err(format!("expected a program for macOS (Mach-O), found {kind:?}")),
        Err(_) if data.read_bytes_at(0, 2) == Ok(b"#!") => {
            Err("a script: name the program that runs it".to_owned())
        }
        Err(_) => Err("expected a program for macOS (Mach-O)".to_owned()),
    }
}

fn architecture(kind: u32, subtype: u32) -> Architecture {
    match (kind, subtype & !CPU_SUBTYPE_MASK) {
        (CPU_TYPE_X86_64, _) => Architecture::X86_64,
        (CPU_TYPE_ARM64, CPU_SUBTYPE_ARM64E) => Architecture::Arm64e,
        (CPU_TYPE_ARM64, _) => Architecture::Arm64,
        (kind, subtype) => Architecture::Other(kind, subtype),
    }
}

fn slice<'data, R: ReadRef<'data>>(data: R, start: u64, size: u64) -> Result<Slice, String> {
    const FILETYPE_EXECUTE: u32 = object::macho::MH_EXECUTE;

    let broken = |error: object::Error| format!("expected a Mach-O image: {error}");
    let header = MachHeader64::<Endianness>::parse(data, start).map_err(broken)?;
    let endian = header.endian().map_err(broken)?;
    if header.sizeofcmds(endian) > COMMANDS_MAX {
        return Err(format!("expected at most {COMMANDS_MAX} bytes of load commands"));
    }
    let mut slice = Slice {
        architecture: architecture(header.cputype(endian), header.cpusubtype(endian)),
        other_platform: None,
        oldest: None,
        is_dynamic_executable: false,
        has_restrict_section: false,
        libraries: Vec::new(),
        signature: None,
    };
    let mut has_dyld = false;
    let mut commands = header.load_commands(endian, data, start).map_err(broken)?;
    while let Some(command) = commands.next().map_err(broken)? {
        match command.variant().map_err(broken)? {
            LoadCommandVariant::LoadDylinker(_) => has_dyld = true,
            LoadCommandVariant::Dylib(dylib) if slice.libraries.len() < LIBRARIES_MAX => {
                let name = command.string(endian, dylib.dylib.name).map_err(broken)?;
                let name = &name[..name.len().min(NAME_MAX)];
                slice.libraries.push(String::from_utf8_lossy(name).into_owned());
            }
            LoadCommandVariant::BuildVersion(version) if command.cmd() == LC_BUILD_VERSION => {
                slice.oldest = Some(version.minos.get(endian));
                let platform = version.platform.get(endian);
                slice.other_platform = (platform != PLATFORM_MACOS).then_some(platform);
            }
            LoadCommandVariant::VersionMin(version) => {
                slice.oldest = Some(version.version.get(endian));
                if command.cmd() != LC_VERSION_MIN_MACOSX {
                    slice.other_platform = Some(0);
                }
            }
            LoadCommandVariant::Segment64(segment, sections) => {
                let named = segment.name() == b"__RESTRICT";
                let sections = segment.sections(endian, sections).map_err(broken)?;
                if named && sections.iter().any(|section| section.name() == b"__restrict") {
                    slice.has_restrict_section = true;
                }
            }
            LoadCommandVariant::LinkeditData(place) if command.cmd() == LC_CODE_SIGNATURE => {
                let (offset, length) = (place.dataoff.get(endian), place.datasize.get(endian));
                let end = u64::from(offset) + u64::from(length);
                if end > size {
                    return Err("the signature lies behind the end".to_owned());
                }
                let at = start.checked_add(offset.into()).ok_or("the signature lies nowhere")?;
                slice.signature = Some(read_signature(data, at, length.into())?);
            }
            _ => {}
        }
    }
    slice.is_dynamic_executable = has_dyld && header.filetype(endian) == FILETYPE_EXECUTE;
    Ok(slice)
}
