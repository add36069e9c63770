//! What the verifier promises, on captured evidence and on evidence of the simulated platform.

mod captured;
mod classes;
mod dates;
mod deny_list;
mod derived;
mod derived_azure;
mod derived_azure_vtpm;
mod derived_event_log;
mod derived_tdx;
mod derived_tdx_collateral;
mod every_bit;
mod every_bit_captured;
mod hostile_bytes;
mod measure;
mod oracle;
mod quote_parts;
mod remembered;
mod vector;
mod vectors;
mod verdict;
