//! Faults in certificates, revocation lists and collateral: the vendor signs what it should
//! not, or something is changed after it was signed.

use super::{
    collateral::IntelCollateral,
    fault::TdxFault,
    issuance::{ChainParts, Issuance, Issued},
    platform::{FMSPC, OTHER_FMSPC, Platform, pck_key},
    qe_identity::QeIdentity,
    tcb_info::{EVALUATION_NUMBER, TcbInfo},
    td::SimulatedTd,
    vendor::{SimulatedIntel, root_certificate},
};
use crate::{
    certificate::Validity,
    error::SimulationError,
    keys::{
        Forger, Issuer,
        elliptic::{Curve, EllipticKey},
    },
};

/// A key that belongs to no vendor.
const STRANGER_LABEL: &[u8] = b"strongroom/simulated-platform/intel-stranger/v1\0";
/// A platform that is not the one at hand.
const OTHER_PLATFORM_SECRET: [u8; 32] = *b"another development platform....";

/// The endorsements of `td`'s platform, issued anew at `now` with one thing wrong.
pub(crate) fn faulty_issuance(
    vendor: &SimulatedIntel,
    td: &SimulatedTd,
    fault: TdxFault,
    now: u64,
) -> Result<Issued, SimulationError> {
    let stranger = EllipticKey::derive(Curve::P256, STRANGER_LABEL, &SimulatedIntel::PUBLISHED_SEED)?;
    let other_pck_key = pck_key(&OTHER_PLATFORM_SECRET)?;
    let keys = &vendor.keys;
    let pck_ca = keys.pck_ca(td.platform.ca);
    let forged_root = Forger { key: &stranger, claims: &keys.root };
    let forged_pck_ca = Forger { key: &stranger, claims: pck_ca };

    let platform = platform(fault, &td.platform);
    let mut issuance = Issuance::sound(vendor, &platform, &td.pck_key, now)?;
    match fault {
        TdxFault::ForeignRoot => {
            issuance.root_certificate = root_certificate(&stranger, now)?;
            issuance.pck_ca_issuer = &stranger;
            issuance.tcb_signing_issuer = &stranger;
            issuance.root_crl.signer = &stranger;
        }
        TdxFault::MissingIntermediate => issuance.chain = ChainParts::WithoutIntermediate,
        TdxFault::FlippedPck => issuance.chain = ChainParts::FlippedLeaf,
        TdxFault::FlippedIntermediate => issuance.chain = ChainParts::FlippedIntermediate,
        TdxFault::WrongPckIssuer => issuance.pck_issuer = &forged_pck_ca,
        TdxFault::WrongIntermediateIssuer => issuance.pck_ca_issuer = &forged_root,
        TdxFault::WrongTcbSigningIssuer => issuance.tcb_signing_issuer = &forged_root,
        TdxFault::IntermediateIsNoAuthority => issuance.pck_ca.may_issue = false,
        TdxFault::TcbInfoByPlatform => {
            issuance.tcb_info_by_pck = true;
            issuance.tcb_info_signer = &td.pck_key;
        }
        TdxFault::MissingDevelopmentExtension => issuance.pck.says_development = false,
        TdxFault::UnknownCriticalExtension => issuance.pck.unknown_critical_extension = true,
        TdxFault::MissingSgxExtension => issuance.pck.has_sgx_extension = false,
        TdxFault::OtherPckKey => issuance.pck.key = &other_pck_key,
        TdxFault::CrlOfOtherPckCa => {
            issuance.pck_crl_role = td.platform.ca.other();
            issuance.pck_crl.signer = keys.pck_ca(td.platform.ca.other());
        }
        TdxFault::RootCrlByOtherKey => issuance.root_crl.signer = &forged_root,
        TdxFault::PckCrlByOtherKey => issuance.pck_crl.signer = &forged_pck_ca,
        TdxFault::RevokedPck => issuance.pck_crl.revoked = vec![issuance.pck.serial()],
        TdxFault::RevokedIntermediate => issuance.root_crl.revoked = vec![pck_ca.identifier()],
        TdxFault::RevokedTcbSigning => issuance.root_crl.revoked = vec![keys.tcb_signing.identifier()],
        TdxFault::TcbInfoByOtherKey => issuance.tcb_info_signer = &stranger,
        TdxFault::QeIdentityByOtherKey => issuance.qe_identity_signer = &stranger,
        _ => {}
    }
    alter_dates(fault, &mut issuance, now)?;
    alter_tcb_info(fault, &mut issuance.tcb_info);
    alter_qe_identity(fault, &mut issuance.qe_identity);

    let mut issued = issuance.issue()?;
    alter_collateral(fault, &mut issued.collateral);
    Ok(issued)
}

/// The platform that the PCK certificate is for.
fn platform(fault: TdxFault, platform: &Platform) -> Platform {
    let mut platform = platform.clone();
    match fault {
        TdxFault::OtherFmspc => platform.fmspc = OTHER_FMSPC,
        TdxFault::OtherPlatform => platform.ppid = Platform::current(platform.ca, &OTHER_PLATFORM_SECRET).ppid,
        TdxFault::OldPlatformFirmware => platform.cpusvn[0] -= 1,
        // As real hosts of one cloud had it: a SEAM loader older than any level.
        TdxFault::NoTcbLevel => platform.cpusvn[7] = 3,
        _ => {}
    }
    platform
}

fn alter_dates(fault: TdxFault, issuance: &mut Issuance<'_>, now: u64) -> Result<(), SimulationError> {
    let (past, future) = (Validity::past(now), Validity::future(now));
    let fmspc = issuance.pck.platform.fmspc;
    match fault {
        TdxFault::ExpiredPck => issuance.pck.validity = past,
        TdxFault::NotYetValidPck => issuance.pck.validity = future,
        TdxFault::ExpiredIntermediate => issuance.pck_ca.validity = past,
        TdxFault::ExpiredTcbSigning => issuance.tcb_signing.validity = past,
        TdxFault::ExpiredRootCrl => issuance.root_crl.validity = past,
        TdxFault::ExpiredPckCrl => issuance.pck_crl.validity = past,
        TdxFault::FutureRootCrl => issuance.root_crl.validity = future,
        TdxFault::FuturePckCrl => issuance.pck_crl.validity = future,
        TdxFault::ExpiredTcbInfo => issuance.tcb_info = TcbInfo::current(fmspc, past)?,
        TdxFault::FutureTcbInfo => issuance.tcb_info = TcbInfo::current(fmspc, future)?,
        TdxFault::ExpiredQeIdentity => issuance.qe_identity = QeIdentity::current(past)?,
        TdxFault::FutureQeIdentity => issuance.qe_identity = QeIdentity::current(future)?,
        _ => {}
    }
    Ok(())
}

fn alter_tcb_info(fault: TdxFault, tcb_info: &mut TcbInfo) {
    let status = match fault {
        TdxFault::TcbOutOfDate => Some("OutOfDate"),
        TdxFault::TcbSwHardeningNeeded => Some("SWHardeningNeeded"),
        TdxFault::TcbConfigurationNeeded => Some("ConfigurationNeeded"),
        TdxFault::TcbConfigurationAndSwHardeningNeeded => Some("ConfigurationAndSWHardeningNeeded"),
        TdxFault::TcbOutOfDateConfigurationNeeded => Some("OutOfDateConfigurationNeeded"),
        TdxFault::TcbRevoked => Some("Revoked"),
        _ => None,
    };
    if let (Some(status), Some(level)) = (status, tcb_info.tcb_levels.first_mut()) {
        level.tcb_status = status;
    }
    match fault {
        TdxFault::TcbInfoUnknownVersion => tcb_info.version = 9,
        TdxFault::SgxTcbInfo => tcb_info.id = "SGX",
        TdxFault::TcbInfoOfOtherFmspc | TdxFault::TamperedFmspc => tcb_info.fmspc = hex::encode_upper(OTHER_FMSPC),
        TdxFault::TcbInfoOfOtherPceId => "0001".clone_into(&mut tcb_info.pce_id),
        TdxFault::OldEvaluationNumber => tcb_info.tcb_evaluation_data_number = EVALUATION_NUMBER - 1,
        TdxFault::ModuleRevoked => {
            for level in tcb_info.tdx_module_identities.iter_mut().flat_map(|module| &mut module.tcb_levels) {
                level.tcb_status = "Revoked";
            }
        }
        _ => {}
    }
}

fn alter_qe_identity(fault: TdxFault, identity: &mut QeIdentity) {
    match fault {
        TdxFault::QeIdentityUnknownVersion => identity.version = 9,
        TdxFault::SgxQeIdentity => identity.id = "QE",
        TdxFault::OldEvaluationNumber => identity.tcb_evaluation_data_number = EVALUATION_NUMBER - 1,
        TdxFault::QeRevoked => identity.tcb_levels.iter_mut().for_each(|level| level.tcb_status = "Revoked"),
        _ => {}
    }
}

/// What is changed or left out after everything was signed.
fn alter_collateral(fault: TdxFault, collateral: &mut IntelCollateral) {
    let replace = |document: &mut Option<String>, from: &str, to: &str| {
        if let Some(text) = document {
            *text = text.replace(from, to);
        }
    };
    let improve = |document: &mut Option<String>| replace(document, "\"OutOfDate\"", "\"UpToDate\"");
    let cut = |document: &mut Option<String>| {
        if let Some(text) = document {
            text.truncate(text.len() / 2);
        }
    };
    match fault {
        TdxFault::TamperedTcbInfo => improve(&mut collateral.tcb_info),
        TdxFault::TamperedFmspc => {
            let [from, to] = [OTHER_FMSPC, FMSPC].map(hex::encode_upper);
            replace(&mut collateral.tcb_info, &from, &to);
        }
        TdxFault::TamperedQeIdentity => improve(&mut collateral.qe_identity),
        TdxFault::TcbInfoNotJson => cut(&mut collateral.tcb_info),
        TdxFault::QeIdentityNotJson => cut(&mut collateral.qe_identity),
        TdxFault::MissingTcbInfo => collateral.tcb_info = None,
        TdxFault::MissingQeIdentity => collateral.qe_identity = None,
        TdxFault::MissingRootCrl => collateral.root_ca_crl = None,
        TdxFault::MissingPckCrl => collateral.pck_crl = None,
        _ => {}
    }
}
