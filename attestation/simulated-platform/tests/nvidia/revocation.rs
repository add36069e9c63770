//! Answers about revocation: the structure of genuine ones, signed by responders that the
//! certificate's own issuer delegated.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA384, digest};
use strongroom_simulated_platform::{GpuSetOptions, GpuTopology, NvidiaEvidence, OcspDigest};
use x509_cert::{
    Certificate,
    certificate::Rfc5280,
    crl::CertificateList,
    der::{Decode as _, Encode as _},
};

use crate::{
    NOW, TOPOLOGIES, chains,
    der::{children, content, not_before_tag, tags},
    evidence, genuine,
    manifests::certificates,
    reader, vendor,
};

/// What an answer says.
pub(crate) struct Answer {
    /// Digest's OID, then name, key, serial number.
    certificate_id: Vec<Vec<u8>>,
    /// The tag of the status: 0x80, 0xa1 or 0x82.
    pub(crate) status: u8,
    this_update: Vec<u8>,
    next_update: Vec<u8>,
    to_be_signed: Vec<u8>,
    signature: Vec<u8>,
    responder: Vec<u8>,
    /// Tags of the response data, in order of depth first.
    tags: Vec<u8>,
}

impl Answer {
    pub(crate) fn read(der: &[u8]) -> Self {
        // OCSPResponse { status, [0] { type, OCTET STRING { BasicOCSPResponse } } }
        let response = children(content(der));
        assert_eq!(response[0], [10, 1, 0]);
        let bytes = children(content(children(content(&response[1]))[0].as_slice()));
        let basic = children(content(content(&bytes[1])));
        let data = children(content(&basic[0]));
        let single = children(content(children(content(&data[2]))[0].as_slice()));
        let id = children(content(&single[0]));
        let algorithm = children(content(&id[0]));
        Self {
            certificate_id: vec![algorithm[0].clone(), id[1].clone(), id[2].clone(), id[3].clone()],
            status: single[1][0],
            this_update: single[2].clone(),
            next_update: content(&single[3]).to_vec(),
            to_be_signed: basic[0].clone(),
            // Behind the number of unused bits.
            signature: content(&basic[2])[1..].to_vec(),
            responder: children(content(children(content(&basic[3]))[0].as_slice()))[0].clone(),
            tags: tags(&basic[0]),
        }
    }
}

/// Whether it is an answer, and not a word on why there is none.
pub(crate) fn is_successful(der: &[u8]) -> bool {
    children(content(der))[0] == [10, 1, 0]
}

#[test]
fn answers_have_the_structure_of_genuine_ones() {
    let evidence = evidence(GpuTopology::ProtectedPcie);
    for (captured, named) in [(genuine::OCSP_OF_BROM, "Provisioner"), (genuine::OCSP_OF_SIGNER, "Reference Value L3")] {
        let captured = Answer::read(captured);
        let issuer = |answer: &Answer| reader::parse(&answer.responder).tbs_certificate().issuer().to_string();
        let mut simulated = evidence.ocsp_responses.iter().map(|der| Answer::read(der));
        let simulated = simulated.find(|answer| issuer(answer).contains(named)).unwrap();
        assert_eq!(simulated.tags, captured.tags);
        assert_eq!(simulated.certificate_id[0], captured.certificate_id[0]);
        let (ours, theirs) = (reader::parse(&simulated.responder), reader::parse(&captured.responder));
        assert_eq!(shape(&simulated.responder), shape(&captured.responder));
        for oid in ["2.5.29.15", "2.5.29.19", "2.5.29.37"] {
            assert_eq!(reader::extension(&ours, oid), reader::extension(&theirs, oid));
        }
    }
}

/// Extensions and their criticality, without the development one, and how dates are written.
fn shape(der: &[u8]) -> (Vec<(String, bool)>, u8) {
    let responder = reader::parse(der);
    let fields = responder.tbs_certificate();
    let extensions = fields.extensions().unwrap().iter();
    let extensions = extensions.map(|extension| (extension.extn_id.to_string(), extension.critical));
    let development = strongroom_simulated_platform::DEVELOPMENT_EXTENSION_OID;
    (extensions.filter(|(oid, _)| oid != development).collect(), not_before_tag(der))
}

#[test]
fn there_is_a_good_answer_about_every_certificate_that_is_asked_about() {
    for topology in TOPOLOGIES {
        let evidence = evidence(topology);
        assert_eq!(unanswered(&evidence, &SHA384), Vec::<String>::new(), "{topology:?}");
    }
    let topology = GpuTopology::Hopper(1);
    let options = GpuSetOptions { ocsp_digest: OcspDigest::Sha1, ..GpuSetOptions::of(topology) };
    let set = vendor().gpu_set_with([3; 32], topology, options, NOW).unwrap();
    let evidence = set.evidence(&crate::NONCE).unwrap();
    assert_eq!(unanswered(&evidence, &SHA1_FOR_LEGACY_USE_ONLY), Vec::<String>::new());
}

fn unanswered(evidence: &NvidiaEvidence, algorithm: &'static Algorithm) -> Vec<String> {
    without_good_answer(evidence, algorithm, true)
}

/// The certificates without a good answer by a responder of their issuer, which is fresh too
/// where that is asked.
pub(crate) fn without_good_answer(
    evidence: &NvidiaEvidence,
    algorithm: &'static Algorithm,
    fresh: bool,
) -> Vec<String> {
    let good = |answer: &Answer, certificate: &Certificate, issuer: &[u8]| {
        if content(&answer.certificate_id[3]) != certificate.tbs_certificate().serial_number().as_bytes() {
            return false;
        }
        let issuer_name = reader::parse(issuer).tbs_certificate().subject().to_der().unwrap();
        let issuer_key = reader::public_key(&reader::parse(issuer));
        let hashed = |bytes: &[u8]| digest(algorithm, bytes).as_ref().to_vec();
        let responder = reader::parse(&answer.responder);
        let (_, purposes) = reader::extension(&responder, "2.5.29.37").unwrap();
        let ocsp_signing = hex::decode("06082b06010505070309").unwrap();
        content(&answer.certificate_id[1]) == hashed(&issuer_name)
            && content(&answer.certificate_id[2]) == hashed(&issuer_key)
            && answer.status == 0x80
            && (!fresh || (answer.this_update <= date(NOW) && date(NOW) <= answer.next_update))
            && responder.tbs_certificate().issuer() == reader::parse(issuer).tbs_certificate().subject()
            && reader::is_signed_by(&answer.responder, issuer)
            && reader::extension(&responder, strongroom_simulated_platform::DEVELOPMENT_EXTENSION_OID).is_some()
            && purposes.windows(ocsp_signing.len()).any(|window| window == ocsp_signing)
            && reader::verifies(
                responder.signature_algorithm().oid,
                &reader::public_key(&responder),
                &answer.to_be_signed,
                &answer.signature,
            )
    };
    let devices = evidence.devices.iter().map(|device| device.certificates[1..].to_vec());
    let manifests = evidence.manifests.iter().map(|manifest| certificates(&manifest.xml));
    let answers: Vec<Answer> =
        evidence.ocsp_responses.iter().filter(|der| is_successful(der)).map(|der| Answer::read(der)).collect();
    let (mut missing, mut asked) = (Vec::new(), BTreeSet::new());
    for chain in devices.chain(manifests) {
        for pair in chain.windows(2) {
            let certificate = reader::parse(&pair[0]);
            if asked.insert(pair.to_vec()) && !answers.iter().any(|answer| good(answer, &certificate, &pair[1])) {
                missing.push(certificate.tbs_certificate().subject().to_string());
            }
        }
    }
    missing
}

#[test]
fn responders_say_development() {
    for topology in TOPOLOGIES {
        for answer in evidence(topology).ocsp_responses {
            reader::assert_says_development(&Answer::read(&answer).responder, NOW);
        }
    }
}

#[test]
fn lists_are_of_the_authorities_that_certificates_name() {
    let evidence = evidence(GpuTopology::ProtectedPcie);
    let issuers: Vec<String> = evidence
        .revocation_lists
        .iter()
        .map(|der| CertificateList::<Rfc5280>::from_der(der).unwrap())
        .map(|list| {
            assert_eq!(list.tbs_cert_list.revoked_certificates, None);
            list.tbs_cert_list.issuer.to_string()
        })
        .collect();
    for (issuer, wanted) in issuers.iter().zip(["Device Identity CA", "CoRIM signing Root CA", "GH100 Identity"]) {
        assert!(issuer.contains(wanted), "{issuer}");
    }
    assert_eq!(issuers.len(), 3);
    assert_eq!(chains::serial(&reader::parse(vendor().device_root_certificate_der())).len(), 16);
}

/// As GeneralizedTime, DER: of one length, so that dates compare as bytes.
fn date(unix_seconds: u64) -> Vec<u8> {
    use x509_cert::der::asn1::GeneralizedTime;
    GeneralizedTime::from_unix_duration(std::time::Duration::from_secs(unix_seconds)).unwrap().to_der().unwrap()
}
