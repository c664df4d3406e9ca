//! What is not written.
