//! The sealed model from outside: sealed, opened, read, interrupted, altered.

mod altered;
mod damage;
mod every_byte;
mod fixture;
mod http;
mod killed;
mod odd_sources;
mod page;
mod recipients;
mod resume;
mod round_trip;
mod sources;
mod vectors;
