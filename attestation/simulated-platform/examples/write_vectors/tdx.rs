//! The vectors of TDX.

use std::error::Error;

use strongroom_simulated_platform::{
    EventLog, IntelCollateral, PckCa, QuoteFormat, SimulatedIntel, SimulatedTd, SimulationError, TdBody, TdEvidence,
    TdxFault, launch_measurement,
};

use crate::{
    NOW, REPORT_DATA,
    set::{File, Set},
    vector::{Expected, OneOrMore},
};

/// The events of every TD here but one.
fn event_log() -> EventLog {
    EventLog::of_boot(b"kernel", "quiet")
}

/// A TD on the published platform.
pub(crate) fn td(vendor: &SimulatedIntel, ca: PckCa, body: &TdBody) -> Result<SimulatedTd, SimulationError> {
    let body = TdBody {
        mr_td: launch_measurement(b"image"),
        mr_config_id: launch_measurement(b"configuration"),
        mr_owner: launch_measurement(b"owner"),
        mr_owner_config: launch_measurement(b"owner's configuration"),
        ..body.clone()
    };
    Ok(vendor.td(SimulatedIntel::PUBLISHED_PLATFORM_SECRET, ca, body, NOW)?.with_event_log(event_log()))
}

/// Writes the set anew and says how many they are.
pub(crate) fn write() -> Result<u32, Box<dyn Error>> {
    let mut set = Set::empty("tdx")?;
    let vendor = SimulatedIntel::published(NOW)?;
    set.share("anchors", "intel.der", vendor.root_certificate_der())?;
    set.share("shared", "event-log.bin", &event_log().to_ccel(0)?)?;

    let mut device = td(&vendor, PckCa::Platform, &TdBody::healthy())?;
    set.share("shared", "policy.toml", device.strict_policy().as_bytes())?;
    for (name, content) in collateral(device.collateral()) {
        set.share("shared", name, &content)?;
    }
    for format in QuoteFormat::ALL {
        device = device.with_format(format);
        let name = format!("accepted-{}", format_name(format));
        let sound = expected(&device, &name, "Sound evidence.", "accepted");
        put(&mut set, sound, &device.evidence(&REPORT_DATA)?)?;
    }
    device = device.with_format(QuoteFormat::V4).with_padding(70);
    let sound = expected(&device, "accepted-padding", "Sound evidence; zeros follow the quote.", "accepted");
    put(&mut set, sound, &device.evidence(&REPORT_DATA)?)?;
    device = device.with_padding(0);
    one_file_each(&mut set, &device)?;

    let processor = td(&vendor, PckCa::Processor, &TdBody::healthy())?;
    let sound =
        expected(&processor, "accepted-processor-ca", "Sound evidence under Intel's other PCK authority.", "accepted");
    put(&mut set, sound, &processor.evidence(&REPORT_DATA)?)?;
    let mut tee_tcb_svn = [0; 16];
    tee_tcb_svn[..3].copy_from_slice(&[5, 0, 3]);
    let first = td(&vendor, PckCa::Platform, &TdBody { tee_tcb_svn, ..TdBody::healthy() })?;
    let sound = expected(&first, "accepted-first-module", "Sound evidence of the first TDX module.", "accepted");
    put(&mut set, sound, &first.evidence(&REPORT_DATA)?)?;

    for fault in TdxFault::ALL.iter().copied() {
        let evidence = vendor.evidence_with_fault(&device, &REPORT_DATA, fault, NOW)?;
        put(&mut set, expected(&device, fault.name(), fault.description(), fault.expected_code()), &evidence)?;
    }
    Ok(set.number())
}

/// The collateral as one JSON file, the log as dstack writes it.
fn one_file_each(set: &mut Set, device: &SimulatedTd) -> Result<(), Box<dyn Error>> {
    let evidence = device.evidence(&REPORT_DATA)?;
    let description = "Sound evidence with its collateral in one JSON object and its event log as dstack writes it.";
    set.write(
        expected(device, "accepted-collateral-json", description, "accepted"),
        &[("quote.bin", evidence.quote), ("event-log.json", evidence.event_log.to_dstack_json(false)?.into_bytes())],
        &[("collateral.json", evidence.collateral.to_collateral_json()?.into_bytes())],
    )
}

fn put(set: &mut Set, expected: Expected, evidence: &TdEvidence) -> Result<(), Box<dyn Error>> {
    let files = [("quote.bin", evidence.quote.clone()), ("event-log.bin", evidence.event_log.to_ccel(0)?)];
    set.write(expected, &files, &collateral(&evidence.collateral))
}

/// The parts that are there, by name.
pub(crate) fn collateral(collateral: &IntelCollateral) -> Vec<File> {
    let text = |part: &Option<String>| part.as_ref().map(|text| text.as_bytes().to_vec());
    let parts = [
        ("tcb-info.json", text(&collateral.tcb_info)),
        ("tcb-info-chain.pem", text(&collateral.tcb_info_issuer_chain)),
        ("qe-identity.json", text(&collateral.qe_identity)),
        ("qe-identity-chain.pem", text(&collateral.qe_identity_issuer_chain)),
        ("root-crl.der", collateral.root_ca_crl.clone()),
        ("pck-crl.der", collateral.pck_crl.clone()),
        ("pck-crl-chain.pem", text(&collateral.pck_crl_issuer_chain)),
    ];
    parts.into_iter().filter_map(|(name, part)| part.map(|part| (name, part))).collect()
}

fn expected(td: &SimulatedTd, name: &str, description: &str, expected: &str) -> Expected {
    Expected {
        name: name.to_owned(),
        description: description.to_owned(),
        expected: expected.to_owned(),
        now: NOW,
        report_data: Some(hex::encode(REPORT_DATA)),
        nonce: None,
        anchor: OneOrMore::One("../anchors/intel.der".to_owned()),
        evidence: None,
        endorsements: None,
        policy: Some(td.strict_policy()),
        policy_file: None,
    }
}

fn format_name(format: QuoteFormat) -> &'static str {
    match format {
        QuoteFormat::V4 => "v4",
        QuoteFormat::V5Td10 => "v5-td10",
        QuoteFormat::V5Td15 => "v5-td15",
    }
}
