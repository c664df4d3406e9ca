//! Bounds within which tapes are read and written, so that no file can take unbounded memory.

/// Bounds of a tape. What lies beyond is refused with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TapeLimits {
    /// Longest line in bytes, but for lines of blobs.
    pub line: u64,
    /// Raw bytes of a blob.
    pub blob: u64,
    /// Number of blobs.
    pub blobs: u64,
    /// Bytes that a compressed tape's decoder may look back.
    pub window: u64,
}

impl TapeLimits {
    /// The usual bounds.
    pub const DEFAULT: Self = Self {
        line: 4 << 20,
        blob: 64 << 20,
        blobs: 1 << 20,
        // zstd asks every decoder for 8 MiB; more comes from long-distance modes only.
        window: 8 << 20,
    };
}

impl Default for TapeLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
