//! NVIDIA's two roots: of devices (GPUs and switches), and of the reference integrity manifests that say
//! what devices should measure.

use super::{VendorRoot, compiled_in};

pub(super) const DEVICE_ROOT_NAME: &str = "NVIDIA Device Identity CA";
pub(super) const MANIFEST_ROOT_NAME: &str = "NVIDIA CoRIM signing Root CA";

const DEVICE_ROOT: &[u8] = include_bytes!("../../anchors/nvidia/device-identity-ca.der");
const MANIFEST_ROOT: &[u8] = include_bytes!("../../anchors/nvidia/corim-signing-root-ca.der");

pub(super) fn device_roots() -> Vec<VendorRoot> {
    compiled_in(DEVICE_ROOT, &[]).into_iter().collect()
}

pub(super) fn manifest_roots() -> Vec<VendorRoot> {
    compiled_in(MANIFEST_ROOT, &[]).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::PublicKey;

    #[test]
    fn the_roots_are_pinned_by_key() {
        let pins = [
            (device_roots(), DEVICE_ROOT_NAME, "6f0264e4bce92d49cd76d17f79e2719ea1972af859fbae04eb2516b8317a8e9e"),
            (manifest_roots(), MANIFEST_ROOT_NAME, "0377d478d8e756532d7318a15d5bc585533a3e72533c6e5f4a09df9faf4a1408"),
        ];
        for (roots, name, pin) in pins {
            let [VendorRoot { root, .. }] = roots.as_slice() else { panic!("one root") };
            let PublicKey::P384(point) = &root.public_key else { panic!("a key on P-384") };
            assert_eq!(hex::encode(crate::crypto::sha256(point)), pin, "{name}");
            assert_eq!(root.subject.common_name(), Some(name));
            assert!(root.is_signed_by(root) && root.may_issue());
        }
    }
}
