//! Our verifier and its peers on the same samples in one run: `bench EVIDENCE [ROUNDS]`, medians in
//! microseconds of processor time. `bench EVIDENCE once CASE COUNT` runs one case so often, for callgrind.
//!
//! Every case goes from bytes to a decision. What a peer does not have to parse (the authorities of
//! `sev`, the collateral structure of `dcap-qvl`) is made ready before, in its favour.

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

use dcap_qvl::QuoteCollateralV3;
use dcap_qvl::configs::{RingConfig, RustCryptoConfig};
use dcap_qvl::verify::QuoteVerifier;
use rustix::time::{ClockId, clock_gettime};
use sev::certs::snp::{Certificate, Chain, Verifiable};
use sev::firmware::guest::AttestationReport;
use sev::parser::ByteParser;
use strongroom_attestation::{
    Endorsements, Evidence, Expected, Hardware, HardwareAnchors, Policy, Remembered, UnixTime, crypto,
    verify_remembering,
};
use strongroom_oracles::samples::{Samples, SnpSample, TdxSample};
use strongroom_oracles::{ours, theirs};

/// A case is timed so long in each round.
const ROUND_MICROSECONDS: u128 = 4_000;
const ROUNDS: usize = 41;
/// The provider of `sev` in this build.
const SEV: &str = if cfg!(feature = "openssl") { "sev openssl" } else { "sev crypto_nossl" };

struct Case {
    name: String,
    run: Box<dyn Fn()>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let evidence = PathBuf::from(arguments.first().ok_or("usage: bench EVIDENCE [ROUNDS | once CASE COUNT]")?);
    let cases = cases(&Samples::read(&evidence)?)?;
    match &arguments[1..] {
        [once, name, count] if once == "once" => {
            let case = cases.iter().find(|case| case.name == *name).ok_or("no such case")?;
            (0..count.parse()?).for_each(|_| (case.run)());
        }
        rest => {
            let rounds = rest.first().map_or(Ok(ROUNDS), |count| count.parse())?;
            for (case, median) in cases.iter().zip(medians(&cases, rounds)) {
                println!("{median:9.1} µs  {}", case.name);
            }
        }
    }
    Ok(())
}

/// The median over `rounds`, in each of which every case has its turn.
fn medians(cases: &[Case], rounds: usize) -> Vec<f64> {
    let timed = |case: &Case, count: u32| {
        let start = cpu_time();
        (0..count).for_each(|_| (case.run)());
        cpu_time().saturating_sub(start)
    };
    let counts: Vec<u32> = cases
        .iter()
        .map(|case| {
            let one = timed(case, 3).as_micros().max(3) / 3;
            u32::try_from((ROUND_MICROSECONDS / one.max(1)).clamp(1, 5_000)).unwrap_or(1)
        })
        .collect();
    let mut times = vec![Vec::new(); cases.len()];
    for _ in 0..rounds {
        for ((case, count), times) in cases.iter().zip(&counts).zip(&mut times) {
            times.push(timed(case, *count).as_secs_f64() * 1e6 / f64::from(*count));
        }
    }
    times
        .into_iter()
        .map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        })
        .collect()
}

/// This thread's time on a processor, so that other work on the machine counts less.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn cases(samples: &Samples) -> Result<Vec<Case>, Box<dyn Error>> {
    let mut cases = Vec::new();
    for (line, names) in [("Genoa", ["oak-genoa-v5", "012-genoa-v5"]), ("Turin", ["oak-turin-v5", "013-turin-v5"])] {
        let found = samples.snp.iter().find(|sample| names.iter().any(|name| sample.name.starts_with(name)));
        if let Some(sample) = found {
            snp(line, sample, &mut cases)?;
        }
    }
    let mut complete: Vec<&TdxSample> = samples.tdx.iter().filter(|sample| both_accept(sample)).collect();
    complete.sort_by_key(|sample| !sample.name.contains("dcapqvl-v4"));
    if let Some(sample) = complete.first() {
        tdx(sample, &mut cases)?;
    }
    if let Some(sample) = samples.azure.iter().find(|sample| sample.name.contains("genoa")).or(samples.azure.first()) {
        let sample = sample.clone();
        let authentic = move || assert!(ours::azure(&sample.artefacts, sample.now).authentic);
        push(&mut cases, "Azure SNP: ours", authentic);
    }
    signatures(&mut cases)?;
    Ok(cases)
}

fn both_accept(sample: &TdxSample) -> bool {
    let Some(collateral) = &sample.collateral else { return false };
    ours::tdx(&sample.quote, Some(collateral), sample.now).authentic
        && theirs::dcap_qvl(&sample.quote, collateral, sample.now.as_secs()).is_ok()
}

fn push(cases: &mut Vec<Case>, name: impl Into<String>, run: impl Fn() + 'static) {
    cases.push(Case { name: name.into(), run: Box::new(run) });
}

fn snp(line: &str, sample: &SnpSample, cases: &mut Vec<Case>) -> Result<(), Box<dyn Error>> {
    let SnpSample { report, certificate, now, .. } = sample.clone();
    push(cases, format!("SNP {line}: ours"), move || assert!(ours::snp(&report, &certificate, now).authentic));
    let (report, remembered, mut bag) = (sample.report.clone(), Remembered::new(64), Endorsements::default());
    bag.add(&sample.certificate)?;
    push(cases, format!("SNP {line}: ours, certificates verified before"), move || {
        decide_remembering(&report, &bag, now, &remembered);
    });
    let SnpSample { report, certificate, .. } = sample.clone();
    let authorities = theirs::authorities(&certificate)?;
    push(cases, format!("SNP {line}: {SEV}"), move || {
        let parsed = AttestationReport::from_bytes(&report).expect("a report");
        let vek = Certificate::from_der(&certificate).expect("a certificate");
        (&Chain { ca: authorities.clone(), vek }, &parsed).verify().expect("authentic");
    });
    Ok(())
}

fn tdx(sample: &TdxSample, cases: &mut Vec<Case>) -> Result<(), Box<dyn Error>> {
    let TdxSample { quote, collateral, now, .. } = sample.clone();
    let collateral = collateral.ok_or("no collateral")?;
    let file = ours::collateral_json(&collateral);
    let mut bag = Endorsements::default();
    bag.add(&file)?;

    let (bytes, seconds) = (quote.clone(), now.as_secs());
    let from_file = file.clone();
    push(cases, "TDX: ours, collateral as a file", move || {
        let mut bag = Endorsements::default();
        bag.add(&from_file).expect("collateral");
        decide(&bytes, &bag, now);
    });
    let (bytes, parsed) = (quote.clone(), bag.clone());
    push(cases, "TDX: ours, collateral parsed before", move || decide(&bytes, &parsed, now));
    let (bytes, remembered) = (quote.clone(), Remembered::new(64));
    push(cases, "TDX: ours, collateral parsed and verified before", move || {
        decide_remembering(&bytes, &bag, now, &remembered);
    });
    let bytes = quote.clone();
    push(cases, "TDX: dcap-qvl ring, collateral as a file", move || {
        let collateral: QuoteCollateralV3 = serde_json::from_slice(&file).expect("collateral");
        ring().verify(&bytes, &collateral, seconds).expect("authentic");
    });
    let (bytes, parsed) = (quote.clone(), collateral.clone());
    push(cases, "TDX: dcap-qvl ring, collateral parsed before", move || {
        ring().verify(&bytes, &parsed, seconds).expect("authentic");
    });
    push(cases, "TDX: dcap-qvl rustcrypto, collateral parsed before", move || {
        let verifier = QuoteVerifier::new_prod().with_config::<RustCryptoConfig>();
        verifier.verify(&quote, &collateral, seconds).expect("authentic");
    });
    Ok(())
}

fn ring() -> QuoteVerifier<RingConfig> {
    QuoteVerifier::new_prod().with_config::<RingConfig>()
}

fn decide(evidence: &[u8], bag: &Endorsements, now: UnixTime) {
    decide_remembering(evidence, bag, now, &Remembered::new(64));
}

fn decide_remembering(evidence: &[u8], bag: &Endorsements, now: UnixTime, remembered: &Remembered) {
    let evidence = Evidence::parse(evidence).expect("evidence");
    let (anchors, expected) = (HardwareAnchors::compiled_in(), Expected::unbound_for_inspection());
    let mut policy = Policy::authentic();
    policy.tdx.require_collateral = matches!(evidence, Evidence::Tdx(_));
    let appraisal = verify_remembering::<Hardware>(&evidence, bag, &anchors, &policy, &expected, now, remembered);
    assert!(black_box(appraisal).claims().is_some());
}

/// The floor: one signature of each kind that vendors make, from the cases that every provider must
/// accept.
fn signatures(cases: &mut Vec<Case>) -> Result<(), Box<dyn Error>> {
    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/signatures/cases.json");
    let all: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(FILE)?)?;
    for (title, scheme, name) in [
        ("ECDSA P-384", "ecdsa-p384-sha384", "as made"),
        ("ECDSA P-256", "ecdsa-p256-sha256", "as made"),
        ("RSA-4096 PSS", "rsa-pss-sha384", "4096 bits"),
        ("RSA-4096 PKCS #1", "rsa-pkcs1-sha256", "4096 bits"),
        ("RSA-2048 PKCS #1", "rsa-pkcs1-sha256", "as made"),
    ] {
        let case = all.iter().find(|case| case["scheme"] == scheme && case["name"] == name).ok_or("no such case")?;
        let bytes = |field: &str| hex::decode(case[field].as_str().unwrap_or_default());
        let (key, message, signature) = (bytes("key")?, bytes("message")?, bytes("signature")?);
        push(cases, format!("one signature: {title}"), move || {
            let verified = match scheme {
                "ecdsa-p384-sha384" => {
                    crypto::verify_ecdsa_p384_sha384(&key, &message, signature[..].try_into().expect("96"))
                }
                "ecdsa-p256-sha256" => {
                    crypto::verify_ecdsa_p256_sha256(&key, &message, signature[..].try_into().expect("64"))
                }
                "rsa-pss-sha384" => crypto::verify_rsa_pss_sha384(&key, &message, &signature),
                _ => crypto::verify_rsa_pkcs1_sha256(&key, &message, &signature),
            };
            verified.expect("the signature verifies");
        });
    }
    Ok(())
}
