//! What the verifier promises, on captured evidence and on evidence of the simulated platform.

mod classes;
mod every_bit;
mod hostile_bytes;
mod measure;
mod oracle;
mod remembered;
mod vector;
mod vectors;
mod verdict;
