//! Faults in the quote, before the enclave signs or in a byte afterwards, and in the event log.

use super::{
    event_log::EventLog,
    fault::TdxFault,
    qe_report::MRENCLAVE,
    quote::{HEADER_LENGTH, QuoteFormat, QuoteLayout, QuoteParts},
    td_body::{MR_TD, REPORT_DATA, TdBody},
};

const ATTRIBUTE_DEBUG: u64 = 1;
const ATTRIBUTE_PROFILED: u64 = 1 << 4;
const ATTRIBUTE_SEPT_VE_DISABLE: u64 = 1 << 28;
const ATTRIBUTE_MIGRATABLE: u64 = 1 << 29;
const ATTRIBUTE_RESERVED: u64 = 1 << 50;
const XFAM_SSE: u64 = 1 << 1;
const XFAM_RESERVED: u64 = 1 << 40;
/// DEBUG of an SGX enclave.
const QE_ATTRIBUTE_DEBUG: u8 = 1 << 1;
/// Certification data: an encrypted PPID with the versions of its platform.
const ENCRYPTED_PPID: u16 = 3;
/// Bytes of it: ciphertext, CPUSVN, PCESVN, PCEID.
const ENCRYPTED_PPID_LENGTH: usize = 384 + 16 + 2 + 2;
/// Where the user data lies in the header.
const USER_DATA: usize = 28;

/// Changes what is quoted.
pub(crate) fn before_quoting(fault: TdxFault, format: &mut QuoteFormat, body: &mut TdBody, report_data: &mut [u8; 64]) {
    match fault {
        TdxFault::WrongReportData => *report_data = report_data.map(|byte| !byte),
        TdxFault::ReportDataPrefixOnly => report_data[63] ^= 1,
        TdxFault::OldTdxMicrocode => with_tcb(body, 2, 2),
        TdxFault::ModuleOutOfDate => with_tcb(body, 0, 5),
        TdxFault::ModuleTooOld => with_tcb(body, 0, 3),
        TdxFault::ModuleIdentityMissing => with_tcb(body, 1, 9),
        TdxFault::ModuleOfOtherSigner => body.mr_signer_seam[0] = 1,
        TdxFault::RelaunchAdvised => {
            *format = QuoteFormat::V5Td15;
            body.tee_tcb_svn[0] = 5;
        }
        TdxFault::ServiceTd => {
            *format = QuoteFormat::V5Td15;
            body.mr_service_td[0] = 1;
        }
        TdxFault::DebugOn => body.td_attributes |= ATTRIBUTE_DEBUG,
        TdxFault::Migratable => body.td_attributes |= ATTRIBUTE_MIGRATABLE,
        TdxFault::SeptVeEnabled => body.td_attributes &= !ATTRIBUTE_SEPT_VE_DISABLE,
        TdxFault::TudBit => body.td_attributes |= ATTRIBUTE_PROFILED,
        TdxFault::ReservedAttribute => body.td_attributes |= ATTRIBUTE_RESERVED,
        TdxFault::XfamFixedBitClear => body.xfam &= !XFAM_SSE,
        TdxFault::XfamReservedBit => body.xfam |= XFAM_RESERVED,
        TdxFault::OtherMrTd => body.mr_td[0] ^= 1,
        TdxFault::OtherRtmr0 => body.rtmrs[0][0] ^= 1,
        TdxFault::OtherRtmr1 => body.rtmrs[1][0] ^= 1,
        TdxFault::OtherRtmr2 => body.rtmrs[2][0] ^= 1,
        TdxFault::OtherRtmr3 => body.rtmrs[3][0] ^= 1,
        TdxFault::OtherMrConfigId => body.mr_config_id[0] ^= 1,
        TdxFault::OtherMrOwner => body.mr_owner[0] ^= 1,
        TdxFault::OtherMrOwnerConfig => body.mr_owner_config[0] ^= 1,
        _ => {}
    }
}

/// Changes what the enclave is about to sign, and what goes with it.
pub(crate) fn alter_parts(fault: TdxFault, parts: &mut QuoteParts) {
    match fault {
        TdxFault::UnknownQuoteVersion => parts.version = 6,
        TdxFault::SgxQuoteVersion => parts.version = 3,
        TdxFault::SgxTeeType => parts.tee_type = 0,
        TdxFault::EnclaveBody => {
            parts.version = 5;
            parts.body = parts.qe_report.to_bytes();
            parts.descriptor = Some((1, 384));
        }
        TdxFault::UnknownBodyType => {
            parts.version = 5;
            parts.body.truncate(QuoteFormat::V5Td10.body_length());
            parts.descriptor = Some((5, 584));
        }
        TdxFault::BodySizeOfAnotherType => {
            parts.version = 5;
            parts.body.resize(QuoteFormat::V5Td15.body_length(), 0);
            parts.descriptor = Some((2, 648));
        }
        TdxFault::P384AttestationKey => parts.key_type = 3,
        TdxFault::ForeignQeVendor => parts.qe_vendor_id = [0; 16],
        TdxFault::OuterCertificationType => parts.outer_type = 7,
        TdxFault::PpidInsteadOfChain => {
            parts.inner_type = ENCRYPTED_PPID;
            parts.certification = vec![0x55; ENCRYPTED_PPID_LENGTH];
        }
        TdxFault::EmptyChain => parts.certification.clear(),
        TdxFault::QeReportDataTail => parts.qe_report.report_data[63] = 1,
        TdxFault::QeSignerMismatch => parts.qe_report.mrsigner[0] ^= 1,
        TdxFault::QeProductMismatch => parts.qe_report.isvprodid ^= 1,
        TdxFault::QeMiscselectMismatch => parts.qe_report.miscselect ^= 1,
        TdxFault::QeAttributesMismatch => parts.qe_report.attributes[1] ^= 1,
        TdxFault::DebugQe => parts.qe_report.attributes[0] |= QE_ATTRIBUTE_DEBUG,
        TdxFault::QeOutOfDate => parts.qe_report.isvsvn -= 3,
        TdxFault::QeTooOld => parts.qe_report.isvsvn -= 5,
        _ => {}
    }
}

/// Changes the signed quote.
pub(crate) fn alter_bytes(fault: TdxFault, quote: &mut Vec<u8>, layout: &QuoteLayout) {
    match fault {
        TdxFault::TruncatedQuote => quote.truncate(layout.end - 1),
        TdxFault::HeaderOnly => quote.truncate(HEADER_LENGTH),
        TdxFault::ShortSignatureData => add_to_u32(quote, layout.signature_data_length, -1),
        TdxFault::LongSignatureData => {
            quote.truncate(layout.end);
            add_to_u32(quote, layout.signature_data_length, 1);
        }
        TdxFault::LongOuterCertification => add_to_u32(quote, layout.outer_size, 1),
        TdxFault::LongInnerCertification => add_to_u32(quote, layout.inner_size, 1),
        TdxFault::LongAuthData => quote[layout.auth_data_length..][..2].fill(0xff),
        TdxFault::BytesAfterQuote => quote.push(1),
        TdxFault::FlippedQuoteSignature => quote[layout.signature] ^= 1,
        TdxFault::ZeroQuoteSignature => quote[layout.signature..layout.attestation_key].fill(0),
        TdxFault::FlippedHeader => quote[USER_DATA] ^= 1,
        TdxFault::FlippedMrTd => quote[layout.body + MR_TD] ^= 1,
        TdxFault::FlippedReportData => quote[layout.body + REPORT_DATA] ^= 1,
        TdxFault::FlippedQeReport => quote[layout.qe_report + MRENCLAVE] ^= 1,
        TdxFault::FlippedQeSignature => quote[layout.qe_signature] ^= 1,
        TdxFault::FlippedAuthData => quote[layout.auth_data_length + 2] ^= 1,
        _ => {}
    }
}

/// Changes the log that goes with the quote.
pub(crate) fn alter_log(fault: TdxFault, log: &mut EventLog) {
    let events = &mut log.events;
    match (fault, events.as_mut_slice()) {
        (TdxFault::EventLogFlippedDigest, [.., last]) => last.digest[0] ^= 1,
        (TdxFault::EventLogMissingEvent, _) => events.truncate(events.len().saturating_sub(1)),
        (TdxFault::EventLogReordered, [first, second, ..]) => std::mem::swap(first, second),
        (TdxFault::EventLogOtherRegister, [first, ..]) => first.register = (first.register + 1) % 4,
        _ => {}
    }
}

/// Another version of one component of the TEE's TCB, at launch and now.
fn with_tcb(body: &mut TdBody, component: usize, svn: u8) {
    body.tee_tcb_svn[component] = svn;
    body.tee_tcb_svn2[component] = svn;
}

/// Adds to a little-endian number. Offsets are those of the quote just written.
fn add_to_u32(quote: &mut [u8], offset: usize, difference: i32) {
    let field = &mut quote[offset..offset + 4];
    let mut value = [0; 4];
    value.copy_from_slice(field);
    field.copy_from_slice(&u32::from_le_bytes(value).wrapping_add_signed(difference).to_le_bytes());
}
