//! From bytes to authentic claims: who signed this report, and does AMD vouch for that key, for
//! this chip, at this firmware? (docs/specs/evidence.md, "Checks".)

use crate::class::Anchored;
use crate::crypto;
use crate::endorsements::Endorsements;
use crate::error::{Check, Code};
use crate::snp::chain::{self, Chain};
use crate::snp::claims::{EndorsementKey, SnpClaims};
use crate::snp::endorsement_key::{certified_product, certified_tcb, claimed_kind, hardware_id, provider};
use crate::snp::product::{Cpuid, Product};
use crate::snp::report::{SigningKey, SnpReport};
use crate::snp::revocation;
use crate::snp::tcb::Tcb;
use crate::trail::Trail;
use crate::trust_anchors::valid_until;
use crate::unix_time::UnixTime;
use crate::x509::{Certificate, PublicKey};

/// key_info bit 1: the firmware does not sign.
const MASK_CHIP_KEY: u32 = 1 << 1;

/// Most certificates for the signing key that are tried; a host sends one.
const MAX_CANDIDATES: usize = 8;

/// What everything about one report is checked against.
pub(crate) struct Given<'a> {
    pub(crate) report: &'a SnpReport,
    pub(crate) bag: &'a Endorsements,
    pub(crate) anchored: Anchored<'a>,
    pub(crate) require_revocation: bool,
    pub(crate) now: UnixTime,
}

/// Claims that a root vouches for, and until when.
pub(crate) struct Authentic {
    pub(crate) claims: SnpClaims,
    pub(crate) valid_until: UnixTime,
}

/// Runs the steps in order and stops at the first that fails. Of several certificates for the
/// kind of key that signed, the one that passes counts, or else the one that came furthest.
///
/// 1. the report's structure (already refused otherwise)
/// 2. it is signed at all, with the one algorithm
/// 3. its processor belongs to a known product line
/// 4. a certificate of the right kind was supplied
/// 5. to 10. see [`endorse`]
pub(crate) fn authenticate(trail: &mut Trail, given: &Given<'_>) -> Option<Authentic> {
    let report = given.report;
    let found = format!("version {}", report.version());
    trail.step(Check::pass(Code::Parse, "report structure", "an SNP report, version 2 to 5", found))?;
    trail.step(check_signed(report))?;
    trail.step(check_processor(report))?;

    let kind = report.signing_key();
    let candidates = candidates(trail, given.bag, kind)?;

    let mut furthest: Option<Trail> = None;
    for leaf in candidates {
        let mut attempt = trail.clone();
        let authentic = endorse(&mut attempt, given, leaf, kind);
        if authentic.is_some() {
            *trail = attempt;
            return authentic;
        }
        if furthest.as_ref().is_none_or(|best| attempt.len() > best.len()) {
            furthest = Some(attempt);
        }
    }
    if let Some(furthest) = furthest {
        *trail = furthest;
    }
    None
}

/// Tries one certificate:
///
/// 5. its chain leads to the pinned root of its product line
/// 6. every certificate is inside its dates
/// 7. none is revoked
/// 8. it is for the report's product, firmware and chip
/// 9. (a VLEK) it names its provider
/// 10. its key signed the report
fn endorse(trail: &mut Trail, given: &Given<'_>, leaf: &Certificate, kind: SigningKey) -> Option<Authentic> {
    let report = given.report;
    let chain = chain::build(trail, leaf, kind, given.bag, given.anchored)?;
    let mut until = check_dates(trail, &chain, given.now)?;
    let revocation =
        revocation::check(trail, &chain, given.bag, given.require_revocation, given.anchored.remembered, given.now)?;
    until = revocation.map_or(until, |end| until.min(end));

    let product = chain.root.product;
    trail.step(check_product(report, leaf, product))?;
    trail.step(check_firmware(report, leaf, product))?;
    trail.step(check_chip(report, leaf, product, kind))?;
    let endorsement_key = match kind {
        SigningKey::Vlek => {
            let id = provider(leaf);
            let found = id.unwrap_or("none that can be read");
            let title = "provider of the VLEK";
            trail.step(Check::when(id.is_some(), Code::Chain, title, "a CSP_ID", found))?;
            EndorsementKey::Vlek { csp_id: id?.to_owned() }
        }
        _ => EndorsementKey::Vcek,
    };
    trail.step(check_signature(report, leaf))?;
    let claims = SnpClaims {
        certified_chip: hardware_id(leaf, product).map(<[u8]>::to_vec),
        ..SnpClaims::new(report, product, endorsement_key)
    };
    Some(Authentic { claims, valid_until: until })
}

/// The certificates whose own name says that they are for this kind of key.
fn candidates<'a>(trail: &mut Trail, bag: &'a Endorsements, kind: SigningKey) -> Option<Vec<&'a Certificate>> {
    let title = "certificate of the signing key";
    let wanted = match kind {
        SigningKey::Vlek => "a VLEK certificate",
        _ => "a VCEK certificate",
    };
    let of_kind = |wanted: bool| {
        let certificates = bag.certificates().iter();
        certificates
            .filter(move |certificate| claimed_kind(certificate).is_some_and(|claimed| (claimed == kind) == wanted))
    };
    let candidates: Vec<_> = of_kind(true).collect();
    trail.step(match (candidates.len(), of_kind(false).next()) {
        (0, Some(other)) => Check::fail(Code::Chain, title, wanted, other.subject.shown()),
        (0, None) => Check::fail(Code::NoEndorsement, title, wanted, Check::NONE_SUPPLIED),
        (count, _) if count > MAX_CANDIDATES => {
            let wanted = format!("{wanted}, at most {MAX_CANDIDATES}");
            Check::fail(Code::NoEndorsement, title, wanted, format!("{count} supplied"))
        }
        (count, _) => Check::pass(Code::NoEndorsement, title, wanted, format!("{count} supplied")),
    })?;
    Some(candidates)
}

fn check_signed(report: &SnpReport) -> Check {
    let title = "how the report is signed";
    let masked = report.key_info() & MASK_CHIP_KEY != 0;
    let (holds, found) = match report.signing_key() {
        _ if masked => (false, "mask_chip_key is set: the firmware did not sign".to_owned()),
        SigningKey::Other(value) => (false, format!("signing_key {value}: no key")),
        SigningKey::Vcek => (true, "VCEK".to_owned()),
        SigningKey::Vlek => (true, "VLEK".to_owned()),
    };
    Check::when(holds, Code::Signature, title, "by a VCEK or VLEK", found)
}

fn check_processor(report: &SnpReport) -> Check {
    let title = "processor";
    let wanted = "a product line whose root is known";
    match report.cpuid() {
        None => Check::skip(
            Code::PlatformNotAllowed,
            title,
            "nothing: version 2 does not name it; the certificate decides",
            "not named",
        ),
        Some(cpuid) => {
            let product = cpuid.product();
            let line = product.map_or("unknown", Product::name);
            let found = format!("{cpuid} ({line})");
            Check::when(product.is_some(), Code::PlatformNotAllowed, title, wanted, found)
        }
    }
}

fn check_dates(trail: &mut Trail, chain: &Chain<'_>, now: UnixTime) -> Option<UnixTime> {
    let title = "certificate dates";
    let until = match valid_until(&chain.certificates(), now) {
        Ok(until) => until,
        Err(outside) => {
            let name = outside.subject.shown();
            let found = format!("{name}: {} to {}", outside.not_before, outside.not_after);
            let wanted = format!("all valid at {now}");
            trail.step(Check::fail(Code::CollateralExpired, title, wanted, found))?;
            return None;
        }
    };
    trail.lasts(title, until);
    let found = format!("valid until {until}");
    trail.step(Check::pass(Code::CollateralExpired, title, format!("all valid at {now}"), found))?;
    Some(until)
}

fn check_product(report: &SnpReport, leaf: &Certificate, product: Product) -> Check {
    let title = "product of the certificate";
    let certified = certified_product(leaf);
    let from_report = report.cpuid().map_or(Some(product), Cpuid::product);
    let holds = certified == Some(product) && from_report == Some(product);
    let name = |line: Option<Product>| line.map_or("none", Product::name);
    let found = format!(
        "issuer {product}, extension {}, report {}",
        name(certified),
        report.cpuid().map_or("silent", |_| name(from_report)),
    );
    Check::when(holds, Code::Chain, title, "one product line throughout", found)
}

fn check_firmware(report: &SnpReport, leaf: &Certificate, product: Product) -> Check {
    let title = "firmware of the certificate";
    let reported = report.reported_tcb();
    let wanted = format!("the reported TCB ({})", Tcb::from_bytes(reported, product));
    match certified_tcb(leaf, product) {
        Ok(certified) => {
            let found = Tcb::from_bytes(certified, product).to_string();
            Check::when(certified == reported, Code::Chain, title, wanted, found)
        }
        Err(objection) => Check::fail(Code::Chain, title, wanted, objection),
    }
}

fn check_chip(report: &SnpReport, leaf: &Certificate, product: Product, kind: SigningKey) -> Check {
    let title = "chip of the certificate";
    if kind == SigningKey::Vlek {
        let wanted = "nothing: a VLEK is for many chips";
        return Check::skip(Code::PlatformNotAllowed, title, wanted, "a VLEK");
    }
    let chip_id = report.chip_id();
    let Some(hwid) = hardware_id(leaf, product) else {
        let wanted = format!("a hardware id of {} bytes", product.hwid_len());
        return Check::fail(Code::Chain, title, wanted, "none");
    };
    if chip_id == [0; 64] {
        let wanted = "nothing: the report masks its chip id";
        return Check::skip(Code::PlatformNotAllowed, title, wanted, "masked");
    }
    let holds = chip_id.strip_prefix(hwid).is_some_and(|rest| rest.iter().all(|byte| *byte == 0));
    let wanted = format!("the report's chip {}", short(&chip_id));
    Check::when(holds, Code::Chain, title, wanted, format!("chip {}", short(hwid)))
}

fn check_signature(report: &SnpReport, leaf: &Certificate) -> Check {
    let title = "signature of the report";
    let wanted = "made by the certified key over the bytes as received";
    let PublicKey::P384(point) = &leaf.public_key else {
        return Check::fail(Code::Signature, title, wanted, "a key that is not on P-384");
    };
    let result = crypto::verify_ecdsa_p384_sha384(point, report.signed_bytes(), &report.signature());
    let found = if result.is_ok() { "it verifies" } else { "it does not verify" };
    Check::when(result.is_ok(), Code::Signature, title, wanted, found)
}

/// The first eight bytes: enough to tell chips apart in a line of text.
fn short(bytes: &[u8]) -> String {
    format!("{}…", hex::encode(bytes.get(..8).unwrap_or(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::State;

    const REPORT: &[u8] = include_bytes!("../../../tests/vectors/snp/012-genoa-v5/report.bin");
    const VCEK: &[u8] = include_bytes!("../../../tests/vectors/snp/012-genoa-v5/vcek.der");
    const TURIN: &[u8] = include_bytes!("../../../tests/vectors/snp/013-turin-v5/report.bin");
    const TURIN_VCEK: &[u8] = include_bytes!("../../../tests/vectors/snp/013-turin-v5/vcek.der");
    const VLEK: &[u8] = include_bytes!("../../../tests/vectors/snp/010-milan-v3-vlek/vlek.der");

    fn report(changes: &[(usize, u8)]) -> SnpReport {
        let mut bytes = REPORT.to_vec();
        for (index, value) in changes {
            bytes[*index] = *value;
        }
        SnpReport::parse(&bytes).unwrap()
    }

    /// The certificate with the extension under AMD's arc replaced, or left out.
    fn vcek(der: &[u8], arcs: &[u8], value: Option<&[u8]>) -> Certificate {
        let mut certificate = Certificate::parse(der).unwrap();
        let is_it = |oid: &[u8]| oid.strip_prefix(&[0x2B, 6, 1, 4, 1, 0x9C, 0x78, 1]) == Some(arcs);
        match value {
            Some(value) => {
                let found = certificate.extensions.iter_mut().find(|e| is_it(&e.oid)).unwrap();
                found.value = value.to_vec();
            }
            None => certificate.extensions.retain(|extension| !is_it(&extension.oid)),
        }
        certificate
    }

    #[test]
    fn a_bag_full_of_certificates_for_the_key_is_refused_untried() {
        let bag = |count: usize| {
            let mut bag = Endorsements::default();
            for number in 0..count {
                // Different certificates, whose signatures do not hold.
                let mut der = VCEK.to_vec();
                *der.last_mut().unwrap() ^= number as u8;
                bag.add(&der).unwrap();
            }
            bag
        };
        let most = bag(MAX_CANDIDATES);
        assert_eq!(candidates(&mut Trail::default(), &most, SigningKey::Vcek).unwrap().len(), MAX_CANDIDATES);
        let mut trail = Trail::default();
        assert!(candidates(&mut trail, &bag(MAX_CANDIDATES + 1), SigningKey::Vcek).is_none());
    }

    #[test]
    fn each_spl_must_equal_its_byte_of_the_reported_tcb() {
        let turin = SnpReport::parse(TURIN).unwrap();
        for (report, der, product) in [(report(&[]), VCEK, Product::Genoa), (turin, TURIN_VCEK, Product::Turin)] {
            let genuine = Certificate::parse(der).unwrap();
            assert_eq!(check_firmware(&report, &genuine, product).state, State::Pass);
            for (arc, required) in crate::snp::tcb::spl_arcs(product) {
                let other = vcek(der, &[3, arc], Some(&[2, 1, 0x7E]));
                let check = check_firmware(&report, &other, product);
                assert_eq!((check.state, check.code), (State::Fail, Code::Chain), "3.{arc}");
                for wrong in [&[][..], &[2, 1, 0x80], &[2, 2, 1, 0], &[2, 1, 0, 0], &[4, 1, 0]] {
                    let broken = vcek(der, &[3, arc], Some(wrong));
                    assert_eq!(check_firmware(&report, &broken, product).state, State::Fail);
                }
                let missing = vcek(der, &[3, arc], None);
                let holds = check_firmware(&report, &missing, product).state == State::Pass;
                assert_eq!(holds, !required, "3.{arc} missing");
            }
        }
    }

    #[test]
    fn two_byte_spls_are_read() {
        let report = report(&[(0x187, 0xD5)]);
        let certificate = vcek(VCEK, &[3, 8], Some(&[2, 2, 0, 0xD5]));
        assert_eq!(check_firmware(&report, &certificate, Product::Genoa).state, State::Pass);
    }

    #[test]
    fn the_hardware_id_must_equal_the_chip_id() {
        let state = |report: &SnpReport, der: &[u8], hwid: Option<&[u8]>, product| {
            let leaf = vcek(der, &[4], hwid);
            check_chip(report, &leaf, product, SigningKey::Vcek).state
        };
        let genoa = report(&[]);
        let chip = genoa.chip_id();
        let wrapped = [&[0x04, 0x40][..], &chip].concat();
        assert_eq!(state(&genoa, VCEK, Some(&chip), Product::Genoa), State::Pass);
        assert_eq!(state(&genoa, VCEK, Some(&wrapped), Product::Genoa), State::Pass);
        assert_eq!(state(&genoa, VCEK, None, Product::Genoa), State::Fail);
        for wrong in [&chip[..8], &chip[..63], &[0; 64], &[&wrapped[..], &[0]].concat()] {
            assert_eq!(state(&genoa, VCEK, Some(wrong), Product::Genoa), State::Fail);
        }

        let turin = SnpReport::parse(TURIN).unwrap();
        let chip = turin.chip_id();
        let wrapped = [&[0x04, 0x08][..], &chip[..8]].concat();
        assert_eq!(state(&turin, TURIN_VCEK, Some(&chip[..8]), Product::Turin), State::Pass);
        assert_eq!(state(&turin, TURIN_VCEK, Some(&wrapped), Product::Turin), State::Pass);
        assert_eq!(state(&turin, TURIN_VCEK, Some(&chip), Product::Turin), State::Fail);
        let mut longer = TURIN.to_vec();
        longer[0x1A8] = 1;
        let longer = SnpReport::parse(&longer).unwrap();
        assert_eq!(state(&longer, TURIN_VCEK, Some(&chip[..8]), Product::Turin), State::Fail);
    }

    #[test]
    fn a_masked_chip_id_is_a_skip_that_is_no_pass() {
        let mut bytes = REPORT.to_vec();
        bytes[0x1A0..0x1E0].fill(0);
        let masked = SnpReport::parse(&bytes).unwrap();
        let leaf = Certificate::parse(VCEK).unwrap();
        let check = check_chip(&masked, &leaf, Product::Genoa, SigningKey::Vcek);
        assert_eq!((check.state, check.code), (State::Skip, Code::PlatformNotAllowed));
        let without = vcek(VCEK, &[4], None);
        let check = check_chip(&masked, &without, Product::Genoa, SigningKey::Vcek);
        assert_eq!(check.state, State::Fail, "a VCEK always names its chip");
    }

    #[test]
    fn one_product_line_throughout() {
        let state = |report: &SnpReport, name: &[u8], line| {
            let value = [&[0x16, name.len() as u8][..], name].concat();
            check_product(report, &vcek(VCEK, &[2], Some(&value)), line).state
        };
        let genoa = report(&[]);
        assert_eq!(state(&genoa, b"Genoa", Product::Genoa), State::Pass);
        assert_eq!(state(&genoa, b"Genoa-B1", Product::Genoa), State::Pass);
        for wrong in [&b"Milan-B0"[..], b"GenoaX", b"genoa", b"", b"-Genoa"] {
            assert_eq!(state(&genoa, wrong, Product::Genoa), State::Fail);
        }
        assert_eq!(state(&genoa, b"Genoa", Product::Milan), State::Fail);
        let siena = report(&[(0x189, 0xA0)]);
        assert_eq!(state(&siena, b"Genoa", Product::Genoa), State::Pass);
        assert_eq!(state(&siena, b"Siena", Product::Genoa), State::Pass);
        assert_eq!(state(&siena, b"Siena", Product::Milan), State::Fail);
        let milan = report(&[(0x189, 0x01)]);
        assert_eq!(state(&milan, b"Genoa", Product::Genoa), State::Fail);
        let missing = vcek(VCEK, &[2], None);
        assert_eq!(check_product(&genoa, &missing, Product::Genoa).state, State::Fail);
    }

    #[test]
    fn a_vlek_names_its_provider() {
        assert_eq!(provider(&Certificate::parse(VLEK).unwrap()), Some("CN=cc-us-east-2.amazonaws.com"));
        assert_eq!(provider(&vcek(VLEK, &[5], None)), None);
        assert_eq!(provider(&vcek(VLEK, &[5], Some(&[0x16, 0]))), None);
        assert_eq!(provider(&vcek(VLEK, &[5], Some(&[0x16, 1, 0x1B]))), None, "an escape");
    }

    #[test]
    fn a_processor_without_a_known_root_is_refused() {
        let venice = report(&[(0x188, 0x1A), (0x189, 0x50)]);
        let check = check_processor(&venice);
        assert_eq!((check.state, check.code), (State::Fail, Code::PlatformNotAllowed));
    }
}
