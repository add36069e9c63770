//! Microsoft's root of the vTPMs of confidential virtual machines, and the authorities under it that
//! sign attestation keys.

use super::{VendorRoot, compiled_in};

pub(super) const ROOT_NAME: &str = "Azure Virtual TPM Root Certificate Authority 2023";

const ROOT: &[u8] = include_bytes!("../../anchors/microsoft/root.der");

/// Two of the authorities; others come with the evidence.
const KNOWN: [&[u8]; 2] = [
    include_bytes!("../../anchors/microsoft/global-ca-01.der"),
    include_bytes!("../../anchors/microsoft/global-ca-03.der"),
];

pub(super) fn roots() -> Vec<VendorRoot> {
    compiled_in(ROOT, &KNOWN).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust_anchors::is_rsa_4096;
    use crate::x509::PublicKey;

    #[test]
    fn the_root_is_pinned_by_key_and_signs_what_is_known_with_it() {
        let roots = roots();
        let [VendorRoot { root, known }] = roots.as_slice() else { panic!("one root") };
        let PublicKey::Rsa { key, .. } = &root.public_key else { panic!("an RSA key") };
        let pin = "5e27249a31c5e18fe43865f61ed5d4019a35601f281eaeeb57df7d8969935862";
        assert_eq!(hex::encode(crate::crypto::sha256(key)), pin);
        assert_eq!(root.subject.common_name(), Some(ROOT_NAME));
        assert!(root.is_signed_by(root) && root.may_issue() && is_rsa_4096(root));
        assert_eq!(known.len(), KNOWN.len());
        assert!(known.iter().all(|authority| authority.is_signed_by(root) && authority.may_issue()));
    }
}
