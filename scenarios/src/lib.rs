//! Mock dexts and the clients that drive them.
