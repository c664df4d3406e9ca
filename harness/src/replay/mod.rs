//! The replayer: serves a tape through the same traits as a real system.
