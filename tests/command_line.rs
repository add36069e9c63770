//! The command as its users meet it: each case runs the built program in a directory of its
//! own and compares command line, exit code, standard output and standard error with a
//! transcript in `tests/cmd/`.
//!
//! `UPDATE_GOLDEN=1` writes the transcripts anew; what changed is then read in the diff.

mod brokers;
mod clients;
mod collateral;
mod demo;
mod deny_lists;
mod deployment;
mod device_collateral;
mod evidence;
mod fetching;
mod hygiene;
mod kbs;
mod looking;
mod measuring;
mod processes;
mod provenance;
mod running;
mod scene;
mod sealing;
mod serving;
mod tenant;
mod top_level;
