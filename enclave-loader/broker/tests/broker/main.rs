//! The broker as its callers see it: the loader's own state machines against the router, in
//! one process, with a clock that stands still until it is moved.

mod floods_and_clocks;
mod further_leases;
mod gpus;
mod heartbeats;
mod kbs;
mod lease_refusals;
mod refusals;
mod releases;
mod signers;
mod tenant;
mod world;
