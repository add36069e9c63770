//! The catalogue against the verifier: every sound variant is accepted as simulated, every
//! fault is refused with its own code, and nothing is ever accepted as hardware.

use strongroom_attestation::{
    Class, Code, DevelopmentAnchors, Endorsements, Evidence, Expected, Hardware, HardwareAnchors, Policy, Refusal,
    Simulated, UnixTime, Verdict, verify,
};
use strongroom_simulated_platform::{
    Fault, Product, ReportVersion, SimulatedAmd, SimulatedDevice, SimulatedEvidence, SimulationError,
};

const NOW: u64 = 1_800_000_000;
const REPORT_DATA: [u8; 64] = [0x5a; 64];
const PROVIDER: &str = "CN=csp.invalid";

fn vendor(product: Product) -> SimulatedAmd {
    SimulatedAmd::published(product, NOW).unwrap()
}

fn device(vendor: &SimulatedAmd) -> SimulatedDevice {
    vendor.device([3; 32], [0xab; 48], [0xcd; 32], NOW).unwrap()
}

fn appraise<K: Class>(
    evidence: &SimulatedEvidence,
    anchors: &K::Anchors,
    policy: &str,
    now: u64,
) -> Result<Verdict<K>, Refusal> {
    let mut endorsements = Endorsements::default();
    for der in &evidence.endorsements {
        endorsements.add(der)?;
    }
    verify::<K>(
        &Evidence::parse(&evidence.report)?,
        &endorsements,
        anchors,
        &Policy::from_toml(policy).unwrap(),
        &Expected::report_data(REPORT_DATA),
        UnixTime::from_secs(now),
    )
    .into_verdict()
}

fn simulated(vendor: &SimulatedAmd, evidence: &SimulatedEvidence, policy: &str) -> Result<Verdict<Simulated>, Refusal> {
    let anchors = DevelopmentAnchors::new(vendor.root_certificate_der()).unwrap();
    appraise::<Simulated>(evidence, &anchors, policy, NOW)
}

fn hardware(evidence: &SimulatedEvidence, policy: &str) -> Result<Verdict<Hardware>, Refusal> {
    appraise::<Hardware>(evidence, &HardwareAnchors::compiled_in(), policy, NOW)
}

#[test]
fn every_sound_variant_is_accepted_as_simulated() {
    for product in Product::ALL {
        let vendor = vendor(product);
        for version in ReportVersion::ALL {
            let device = device(&vendor).with_report_version(version);
            let evidence = device.report(&REPORT_DATA).unwrap();
            let verdict = simulated(&vendor, &evidence, &device.strict_policy()).unwrap();
            let claims = verdict.claims();
            assert_eq!(claims.product(), product.name());
            assert_eq!(claims.launch_measurement(), device.measurement());
            assert_eq!(claims.host_data(), device.host_data());
            assert_eq!(claims.report_data(), &REPORT_DATA);
            let identity = claims.platform_identity().unwrap();
            assert!(device.chip_id().starts_with(identity));
        }
    }
}

#[test]
fn a_loaded_key_is_accepted_where_the_policy_names_its_provider() {
    for product in Product::ALL {
        let vendor = vendor(product);
        let device = vendor.device_with_loaded_key([3; 32], PROVIDER, [0xab; 48], [0xcd; 32], NOW).unwrap();
        let evidence = device.report(&REPORT_DATA).unwrap();
        let verdict = simulated(&vendor, &evidence, &device.strict_policy()).unwrap();
        assert_eq!(verdict.claims().platform_identity(), None);
    }
}

#[test]
fn every_fault_is_refused_with_its_own_code() {
    let mut wrong = Vec::new();
    for product in Product::ALL {
        let vendor = vendor(product);
        let device = device(&vendor);
        let policy = device.strict_policy();
        for fault in Fault::ALL.iter().copied() {
            let evidence = vendor.report_with_fault(&device, &REPORT_DATA, fault, NOW).unwrap();
            let found = match simulated(&vendor, &evidence, &policy) {
                Ok(_) => "accepted".to_owned(),
                Err(refusal) => refusal.to_string(),
            };
            let code = found.split(':').next().unwrap_or_default();
            if code != fault.expected_code() {
                let (name, wanted) = (fault.name(), fault.expected_code());
                wrong.push(format!("{product:?} {name}: wanted {wanted}, found {found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_ever_accepted_as_hardware() {
    for product in Product::ALL {
        let vendor = vendor(product);
        let device = device(&vendor);
        let policy = device.strict_policy();
        let sound = device.report(&REPORT_DATA).unwrap();
        let refusal = hardware(&sound, &policy).err().unwrap();
        assert!(matches!(refusal.code, Code::Simulated | Code::Chain), "{refusal}");
        for fault in Fault::ALL.iter().copied() {
            let evidence = vendor.report_with_fault(&device, &REPORT_DATA, fault, NOW).unwrap();
            let code = hardware(&evidence, &policy).err().unwrap().code;
            // Some are refused before anybody looks at the chain.
            assert!(
                matches!(code, Code::Simulated | Code::Chain) || code.as_str() == fault.expected_code(),
                "{}: {}",
                fault.name(),
                code.as_str()
            );
        }
    }
}

#[test]
fn another_vendor_s_anchor_does_not_do() {
    let genoa = vendor(Product::Genoa);
    let device = device(&genoa);
    let evidence = device.report(&REPORT_DATA).unwrap();
    let stranger = SimulatedAmd::generate(Product::Genoa, NOW).unwrap();
    let refusal = simulated(&stranger, &evidence, &device.strict_policy()).err();
    assert_eq!(refusal.unwrap().code, Code::Chain);
}

#[test]
fn a_forgotten_vendor_stops_by_itself() {
    let vendor = vendor(Product::Genoa);
    let device = device(&vendor);
    let evidence = device.report(&REPORT_DATA).unwrap();
    let anchors = DevelopmentAnchors::new(vendor.root_certificate_der()).unwrap();
    let week = 7 * 24 * 3600;
    let refusal = appraise::<Simulated>(&evidence, &anchors, &device.strict_policy(), NOW + week).err();
    assert_eq!(refusal.unwrap().code, Code::CollateralExpired);
}

#[test]
fn a_device_alone_makes_the_faults_of_its_report_and_no_other() {
    let vendor = vendor(Product::Turin);
    let device = device(&vendor);
    for fault in Fault::ALL.iter().copied() {
        match device.report_with_fault(&REPORT_DATA, fault) {
            Ok(evidence) => {
                assert!(!fault.needs_vendor());
                let refusal = simulated(&vendor, &evidence, &device.strict_policy()).err();
                let code = refusal.unwrap().code.as_str();
                assert_eq!(code, fault.expected_code(), "{}", fault.name());
            }
            Err(SimulationError::NeedsVendor { fault: name }) => {
                assert!(fault.needs_vendor());
                assert_eq!(name, fault.name());
            }
            Err(other) => panic!("{other}"),
        }
    }
}
