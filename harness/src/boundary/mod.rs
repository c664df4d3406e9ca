//! Every rule of the user-client boundary, once, under its number in the semantics reference.
