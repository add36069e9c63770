//! The sandbox from outside: filters that behave, filters that do not, and the example
//! plugin as it is committed.

mod behaving;
mod guests;
mod hostile;
mod misfits;
mod redact;
