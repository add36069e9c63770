//! NVIDIA's remote attestation service's answer: a detached EAT, read as an alternative to the devices' own evidence.
