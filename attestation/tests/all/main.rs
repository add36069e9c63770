//! What the verifier promises, on captured evidence and on evidence of the simulated platform.

mod classes;
mod deny_list;
mod every_bit;
mod hostile_bytes;
mod measure;
mod oracle;
mod vector;
mod vectors;
mod verdict;
