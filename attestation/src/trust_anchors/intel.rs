//! Intel's root, and what stands under it: the authorities of PCK certificates, and the signer of TCB
//! info and QE identities.

use super::{VendorRoot, compiled_in};

pub(super) const ROOT_NAME: &str = "Intel SGX Root CA";

const ROOT: &[u8] = include_bytes!("../../anchors/intel/root.der");

/// The signer was certified again in 2025, with the same key and serial number.
const KNOWN: [&[u8]; 4] = [
    include_bytes!("../../anchors/intel/pck-platform.der"),
    include_bytes!("../../anchors/intel/pck-processor.der"),
    include_bytes!("../../anchors/intel/tcb-signing-2018.der"),
    include_bytes!("../../anchors/intel/tcb-signing-2025.der"),
];

pub(super) fn roots() -> Vec<VendorRoot> {
    compiled_in(ROOT, &KNOWN).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::PublicKey;

    #[test]
    fn the_root_is_pinned_by_key_and_signs_what_is_known_with_it() {
        let roots = roots();
        let [VendorRoot { root, known }] = roots.as_slice() else { panic!("one root") };
        let PublicKey::P256(point) = &root.public_key else { panic!("a key on P-256") };
        let pin = "a512ddae5b8a05fd0738d708f29ddccaca53aad8b3698e77194cb05cc0723e89";
        assert_eq!(hex::encode(crate::crypto::sha256(point)), pin);
        assert_eq!(root.subject.common_name(), Some(ROOT_NAME));
        assert!(root.is_signed_by(root) && root.may_issue() && root.may_sign_revocation_lists());
        assert_eq!(known.len(), KNOWN.len());
        for certificate in known {
            assert!(certificate.is_signed_by(root), "{}", certificate.subject.shown());
        }
        assert!(known[..2].iter().all(|authority| authority.may_issue() && authority.may_sign_revocation_lists()));
        assert!(known[2..].iter().all(|signer| signer.is_ca() == Some(false)));
        assert_eq!(known[2].public_key, known[3].public_key);
    }
}
