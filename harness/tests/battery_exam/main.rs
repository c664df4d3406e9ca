//! The exam of a contract battery: a dext that is right or has one bug of twelve, and the proof that it
//! is a fair one. A client that keeps to the description sees no difference; each bug shows to one that
//! does not, and only where it should.

mod battery;
mod dext;
mod honest;
mod right;
mod symptoms;
