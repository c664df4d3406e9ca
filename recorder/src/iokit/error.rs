//! Why there is no real system.

/// Why a device cannot be reached from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// This is not a Mac.
    #[error(
        "reach a device: IOKit exists on macOS only; record on a Mac, or use a mock or a tape here"
    )]
    NotMacos,
    /// This build leaves the real system out.
    #[error(
        "reach a device: this build leaves the real system out; build it with the cargo feature \
         `live` of dextape-recorder"
    )]
    NotBuilt,
}
