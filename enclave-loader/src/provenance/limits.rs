//! How much is read of what nobody has verified yet.

/// Bytes of a bundle. The 65,536 files of the largest sealed model take about a third of it.
pub(super) const MAX_BUNDLE_BYTES: usize = 32 << 20;
/// Bytes of the statement in a bundle, once decoded.
pub(super) const MAX_STATEMENT_BYTES: usize = 24 << 20;
/// Bytes of a provenance of sealing, which lists no files.
pub(super) const MAX_PROVENANCE_BYTES: usize = 64 << 10;
/// Files that a signature may list: as many as a sealed model may hold.
pub(super) const MAX_RESOURCES: usize = crate::format::limits::MAX_FILES;
/// Paths that a signature may leave out.
pub(super) const MAX_IGNORED: usize = 1024;
/// Certificates in a bundle, or in a file of roots.
pub(super) const MAX_CERTIFICATES: usize = 16;
/// Bytes of one certificate.
pub(super) const MAX_CERTIFICATE_BYTES: usize = 16 << 10;
/// Certificates between the signer's and a root.
pub(super) const MAX_INTERMEDIATES: usize = 5;
/// Signatures that are checked to find one path of certificates.
pub(super) const MAX_CHAIN_SIGNATURES: u32 = 24;
/// Bytes of a PEM file of keys or roots.
pub(super) const MAX_PEM_BYTES: usize = 512 << 10;
/// Bytes of a name or another short text.
pub(super) const MAX_NAME_BYTES: usize = 1024;
