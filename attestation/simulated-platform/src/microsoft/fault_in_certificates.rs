//! Faults in the certificates of a virtual TPM: the vendor signs what it should not.

use super::{
    authority::{Intermediate, root_certificate},
    fault::AzureFault,
    vendor::{SimulatedAzure, ak_certificate},
    vm::SimulatedAzureVm,
    vtpm_keys::stranger,
};
use crate::{
    certificate::Validity,
    der::Der,
    error::SimulationError,
    keys::{
        Forger, Issuer,
        rsa::{Algorithm, RsaKey, Size},
    },
};

/// The certificates of `vm`'s attestation key, issued anew at `now` with one thing wrong.
pub(crate) fn faulty_certificates(
    vendor: &SimulatedAzure,
    vm: &SimulatedAzureVm,
    fault: AzureFault,
    now: u64,
) -> Result<Vec<Der>, SimulationError> {
    let validity = Validity::around(now);
    let (other_ak, other_root) = (stranger()?, other_root()?);
    let root_issuer = vendor.keys.issuing_root();
    let intermediate_issuer = vendor.keys.issuing_intermediate();
    let foreign_issuer = other_root.issuing(Algorithm::Pkcs1Sha384);
    let forging = other_root.issuing(Algorithm::Pkcs1Sha256);
    let forger = Forger { key: &forging, claims: &intermediate_issuer };

    let mut intermediate = Intermediate { key: &vendor.keys.intermediate, validity, may_issue: true };
    let mut leaf = ak_certificate(&vm.keys.attestation, validity);
    let (mut above, mut issuer): (&dyn Issuer, &dyn Issuer) = (&root_issuer, &intermediate_issuer);
    let mut root = vendor.root_certificate.clone();
    match fault {
        AzureFault::AkForeignRoot => {
            root = root_certificate(&other_root, validity)?;
            above = &foreign_issuer;
        }
        AzureFault::AkWrongIssuer => issuer = &forger,
        AzureFault::AkIntermediateIsNoAuthority => intermediate.may_issue = false,
        AzureFault::ExpiredAkIntermediate => intermediate.validity = Validity::past(now),
        AzureFault::AkMissingDevelopmentExtension => leaf.says_development = false,
        AzureFault::AkUnknownCriticalExtension => leaf.unknown_critical_extension = true,
        AzureFault::ExpiredAkCertificate => leaf.validity = Validity::past(now),
        AzureFault::NotYetValidAkCertificate => leaf.validity = Validity::future(now),
        AzureFault::AkCertificateOfAnotherVm | AzureFault::RuntimeDataOfAnotherVm => {
            leaf = ak_certificate(&other_ak, validity);
        }
        _ => {}
    }
    let (leaf, intermediate) = (leaf.sign(issuer)?, intermediate.sign(above)?);
    Ok(match fault {
        AzureFault::MissingAkCertificate => vec![intermediate, root],
        AzureFault::AkMissingIntermediate => vec![leaf, root],
        _ => vec![leaf, intermediate, root],
    })
}

/// A root key that is not the vendor's.
fn other_root() -> Result<RsaKey, SimulationError> {
    let key = include_bytes!("../../development-root/stranger-key.der");
    RsaKey::from_pkcs8(Size::Rsa4096, key, "the published stranger's key")
}
