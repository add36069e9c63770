//! One platform's endorsements: the PCK chain that goes into its quotes, and the collateral
//! that goes beside them. Everything is set out before anything is signed, so that a fault
//! can change one thing.

use super::{
    authority::{AuthorityCertificate, Role},
    collateral::IntelCollateral,
    json::SignedJson,
    name::name,
    pck::{Pck, PckCa},
    platform::Platform,
    qe_identity::QeIdentity,
    tcb_info::TcbInfo,
    vendor::SimulatedIntel,
};
use crate::{
    certificate::{Validity, encoding, pem_chain},
    crl::{ExtensionOrder, RevocationList},
    der::Der,
    error::SimulationError,
    keys::{Issuer, elliptic::EllipticKey},
};

/// What is about to be issued, and with which keys.
pub(crate) struct Issuance<'a> {
    pub(crate) root_certificate: Der,
    /// The root's key as each certificate below it sees it.
    pub(crate) pck_ca_issuer: &'a dyn Issuer,
    pub(crate) tcb_signing_issuer: &'a dyn Issuer,
    pub(crate) pck_ca: AuthorityCertificate<'a>,
    pub(crate) pck: Pck<'a>,
    pub(crate) pck_issuer: &'a dyn Issuer,
    pub(crate) tcb_signing: AuthorityCertificate<'a>,
    pub(crate) tcb_info: TcbInfo,
    pub(crate) tcb_info_signer: &'a EllipticKey,
    pub(crate) qe_identity: QeIdentity,
    pub(crate) qe_identity_signer: &'a EllipticKey,
    pub(crate) root_crl: List<'a>,
    pub(crate) pck_crl: List<'a>,
    /// Which authority the PCK revocation list is of; another one only for a fault.
    pub(crate) pck_crl_role: PckCa,
    /// What becomes of the PCK certificate's chain.
    pub(crate) chain: ChainParts,
    /// Whether the PCK certificate stands as the signer of the TCB info, for the fault of
    /// a platform that signs its own.
    pub(crate) tcb_info_by_pck: bool,
}

/// A revocation list and who signs it.
pub(crate) struct List<'a> {
    pub(crate) validity: Validity,
    pub(crate) revoked: Vec<Vec<u8>>,
    pub(crate) signer: &'a dyn Issuer,
}

/// What the chain in the quote has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChainParts {
    /// Leaf, intermediate, root.
    Whole,
    /// Leaf and root.
    WithoutIntermediate,
    /// All three, and a bit of the leaf flipped after it was signed.
    FlippedLeaf,
    /// All three, and a bit of the intermediate flipped after it was signed.
    FlippedIntermediate,
}

/// Where serial numbers lie in a certificate, after four headers and the version.
const WITHIN_SERIAL: usize = 20;

/// What was issued.
pub(crate) struct Issued {
    /// As the quote carries it.
    pub(crate) pck_chain: Vec<u8>,
    pub(crate) collateral: IntelCollateral,
}

impl<'a> Issuance<'a> {
    /// With nothing wrong in it.
    pub(crate) fn sound(
        vendor: &'a SimulatedIntel,
        platform: &Platform,
        pck_key: &'a EllipticKey,
        now: u64,
    ) -> Result<Self, SimulationError> {
        let validity = Validity::around(now);
        let keys = &vendor.keys;
        let ca = platform.ca;
        let pck_ca_key = keys.pck_ca(ca);
        let authority = |role, key| AuthorityCertificate { role, key, validity, may_issue: true };
        let list = |signer: &'a dyn Issuer| List { validity, revoked: Vec::new(), signer };
        Ok(Self {
            root_certificate: vendor.root_certificate.clone(),
            pck_ca_issuer: &keys.root,
            tcb_signing_issuer: &keys.root,
            pck_ca: authority(Role::PckCa(ca), pck_ca_key),
            pck: Pck {
                issuer: ca,
                platform: platform.clone(),
                key: pck_key,
                validity,
                says_development: true,
                has_sgx_extension: true,
                unknown_critical_extension: false,
            },
            pck_issuer: pck_ca_key,
            tcb_signing: authority(Role::TcbSigning, &keys.tcb_signing),
            tcb_info: TcbInfo::current(platform.fmspc, validity)?,
            tcb_info_signer: &keys.tcb_signing,
            qe_identity: QeIdentity::current(validity)?,
            qe_identity_signer: &keys.tcb_signing,
            root_crl: list(&keys.root),
            pck_crl: list(pck_ca_key),
            pck_crl_role: ca,
            chain: ChainParts::Whole,
            tcb_info_by_pck: false,
        })
    }

    pub(crate) fn issue(&self) -> Result<Issued, SimulationError> {
        let root = self.root_certificate.as_slice();
        let mut ca = self.pck_ca.sign(self.pck_ca_issuer)?;
        let mut leaf = self.pck.sign(self.pck_issuer)?;
        match self.chain {
            ChainParts::FlippedLeaf => leaf[WITHIN_SERIAL] ^= 1,
            ChainParts::FlippedIntermediate => ca[WITHIN_SERIAL] ^= 1,
            ChainParts::Whole | ChainParts::WithoutIntermediate => {}
        }
        let tcb_signing = self.tcb_signing.sign(self.tcb_signing_issuer)?;

        // Verifiers take certificates from wherever they find them, so what is missing in one
        // place is missing in all.
        let (chain, ca_chain) = match self.chain {
            ChainParts::WithoutIntermediate => (pem_chain(&[&leaf, root])?, pem_chain(&[root])?),
            _ => (pem_chain(&[&leaf, &ca, root])?, pem_chain(&[&ca, root])?),
        };
        let tcb_signing_chain = pem_chain(&[&tcb_signing, root])?;
        let tcb_info_issuer_chain =
            if self.tcb_info_by_pck { pem_chain(&[&leaf, &ca, root])? } else { tcb_signing_chain.clone() };
        let mut collateral = IntelCollateral {
            tcb_info_issuer_chain: Some(tcb_info_issuer_chain),
            qe_identity_issuer_chain: Some(tcb_signing_chain),
            root_ca_crl: Some(self.root_crl.sign(Role::Root)?),
            pck_crl: Some(self.pck_crl.sign(Role::PckCa(self.pck_crl_role))?),
            pck_crl_issuer_chain: Some(ca_chain),
            ..IntelCollateral::default()
        };
        collateral.set_tcb_info(&SignedJson::sign("tcbInfo", &self.tcb_info, self.tcb_info_signer)?);
        collateral.set_qe_identity(&SignedJson::sign("enclaveIdentity", &self.qe_identity, self.qe_identity_signer)?);

        let mut pck_chain = chain.into_bytes();
        pck_chain.push(0); // within the declared size, as most genuine quotes have it
        Ok(Issued { pck_chain, collateral })
    }
}

impl List<'_> {
    fn sign(&self, role: Role) -> Result<Der, SimulationError> {
        RevocationList {
            issuer: name(role.common_name()).map_err(encoding)?,
            validity: self.validity,
            revoked: self.revoked.clone(),
            gives_reasons: true,
            order: ExtensionOrder::NumberFirst,
        }
        .sign(self.signer)
    }
}

#[cfg(test)]
mod tests {
    use strongroom_attestation::{
        Artefacts, Code, DevelopmentAnchors, Expected, Policy, Refusal, Simulated, UnixTime, verify,
    };

    use super::*;
    use crate::{
        certificate::{DAY, LONGEST_VALIDITY_SECONDS},
        intel::{platform::pck_key, td::SimulatedTd, td_body::TdBody},
    };

    const NOW: u64 = 1_800_000_000;
    const SECRET: [u8; 32] = [3; 32];

    fn lasting(seconds: u64) -> Validity {
        Validity { not_before: NOW - DAY, not_after: NOW - DAY + seconds }
    }

    /// The code with which evidence is refused whose PCK certificate lasts so long.
    fn code_where_the_leaf_lasts(seconds: u64) -> Option<Code> {
        let vendor = SimulatedIntel::published(NOW).unwrap();
        let (platform, key) = (Platform::current(PckCa::Platform, &SECRET), pck_key(&SECRET).unwrap());
        let mut issuance = Issuance::sound(&vendor, &platform, &key, NOW).unwrap();
        issuance.pck.validity = lasting(seconds);
        let Issued { pck_chain, collateral } = issuance.issue().unwrap();
        let key = pck_key(&SECRET).unwrap();
        let td = SimulatedTd::new(platform, key, &SECRET, TdBody::healthy(), pck_chain, collateral).unwrap();
        let evidence = td.evidence(&[7; 64]).unwrap();
        let mut artefacts = Artefacts::default();
        artefacts.add(&evidence.quote).unwrap();
        for artefact in evidence.collateral.artefacts() {
            artefacts.add(&artefact).unwrap();
        }
        let (evidence, bag) = artefacts.into_evidence().unwrap();
        let anchors = DevelopmentAnchors::new(vendor.root_certificate_der()).unwrap();
        let policy = Policy::from_toml(&td.strict_policy()).unwrap();
        let (expected, now) = (Expected::report_data([7; 64]), UnixTime::from_secs(NOW));
        let result = verify::<Simulated>(&evidence, &bag, &anchors, &policy, &expected, now).into_verdict();
        result.err().map(|refusal: Refusal| refusal.code)
    }

    #[test]
    fn a_verifier_refuses_a_development_certificate_that_lives_over_seven_days() {
        assert_eq!(code_where_the_leaf_lasts(LONGEST_VALIDITY_SECONDS), None);
        assert_eq!(code_where_the_leaf_lasts(LONGEST_VALIDITY_SECONDS + 1), Some(Code::Chain));
    }

    #[test]
    fn a_verifier_refuses_a_development_root_that_lives_over_seven_days() {
        let vendor = SimulatedIntel::published(NOW).unwrap();
        let key = &vendor.keys.root;
        let root = |seconds| {
            let root = AuthorityCertificate { role: Role::Root, key, validity: lasting(seconds), may_issue: true };
            DevelopmentAnchors::new(&root.sign(key).unwrap())
        };
        assert!(root(LONGEST_VALIDITY_SECONDS).is_ok());
        assert_eq!(root(LONGEST_VALIDITY_SECONDS + 1).err().unwrap().code, Code::Chain);
    }
}
