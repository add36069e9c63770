//! One row for each way in which a TDX quote itself is refused: its structure, its signatures, and the chain
//! of its key.

use strongroom_attestation::Policy;

use crate::captured::{Captured, outcome};
use crate::derived::{Changed, Row, file_of, wrong_rows};
use crate::quote_parts::{BODY, chain, position, v4, with_chain, with_chain_text, word};

const V4: &str = "tdx/001-v4-collateral";
const V5: &str = "tdx/003-v5-td15";
const QUOTE: &str = "quote.bin";

/// Order of P-256, and so the least number that is no part of a signature.
const ORDER: [u8; 32] = *b"\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\
    \xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";

const STRUCTURE: &[Row] = &[
    ("version 3", |c| c.set(QUOTE, 0, &[3]), "PLATFORM_NOT_ALLOWED"),
    ("version 6", |c| c.set(QUOTE, 0, &[6]), "PARSE"),
    ("version 0", |c| c.set(QUOTE, 0, &[0]), "PARSE"),
    ("version 4 called 5", |c| c.set(QUOTE, 0, &[5]), "PARSE"),
    ("an SGX enclave by its TEE type", |c| c.set(QUOTE, 4, &[0]), "PLATFORM_NOT_ALLOWED"),
    ("an unknown TEE type", |c| c.set(QUOTE, 4, &[0x82]), "PARSE"),
    ("upper bytes of the TEE type", |c| c.set(QUOTE, 7, &[1]), "PARSE"),
    ("an attestation key on P-384", |c| c.set(QUOTE, 2, &[3]), "PARSE"),
    ("an unknown attestation key", |c| c.set(QUOTE, 2, &[1]), "PARSE"),
    ("upper byte of the key type", |c| c.set(QUOTE, 3, &[1]), "PARSE"),
    ("another vendor", |c| c.flip(QUOTE, 12), "PARSE"),
    ("signature data one byte shorter", |c| resize(c, v4::SIGNATURE_LEN, -1), "PARSE"),
    ("signature data one byte longer", |c| resize(c, v4::SIGNATURE_LEN, 1), "PARSE"),
    ("signature data past the end", |c| c.set(QUOTE, v4::SIGNATURE_LEN, &[0xFF; 4]), "PARSE"),
    ("no signature data", |c| c.set(QUOTE, v4::SIGNATURE_LEN, &[0; 4]), "PARSE"),
    ("a PCK chain in place of the QE report", |c| c.set(QUOTE, v4::CERTIFICATION_TYPE, &[5]), "PARSE"),
    ("certification data one byte shorter", |c| resize(c, v4::CERTIFICATION_LEN, -1), "PARSE"),
    ("certification data one byte longer", |c| resize(c, v4::CERTIFICATION_LEN, 1), "PARSE"),
    ("authentication data one byte shorter", |c| resize(c, v4::AUTH_LEN, -1), "PARSE"),
    ("authentication data one byte longer", |c| resize(c, v4::AUTH_LEN, 1), "PARSE"),
    ("authentication data past the end", |c| c.set(QUOTE, v4::AUTH_LEN, &[0xFF; 2]), "PARSE"),
    ("PCK chain one byte shorter", |c| resize(c, v4::PCK_LEN, -1), "PARSE"),
    ("PCK chain one byte longer", |c| resize(c, v4::PCK_LEN, 1), "PARSE"),
    ("PCK chain past the end", |c| c.set(QUOTE, v4::PCK_LEN, &[0xFF; 4]), "PARSE"),
    ("text after the quote", |c| *c.file(QUOTE).last_mut().unwrap() = b'x', "PARSE"),
    ("more than 64 KiB", |c| c.file(QUOTE).resize((64 << 10) + 1, 0), "PARSE"),
    ("no padding", |c| c.file(QUOTE).truncate(v4::CHAIN + 3678), "accepted"),
    ("a broken line before the certificate", |c| c.flip(QUOTE, v4::CHAIN + 6), "PARSE"),
    ("nine certificates", |c| edit_chain(c, |chain| *chain = vec![chain[0].clone(); 9]), "PARSE"),
    ("no certificate but text", |c| *c.file(QUOTE) = with_chain_text(&c.file(QUOTE).clone(), b"none"), "PARSE"),
    ("PCK named and not carried", |c| c.set(QUOTE, v4::PCK_TYPE, &[3]), "NO_ENDORSEMENT"),
    ("an unknown kind of PCK data", |c| c.set(QUOTE, v4::PCK_TYPE, &[9]), "NO_ENDORSEMENT"),
];

const CHAIN_AND_SIGNATURES: &[Row] = &[
    ("a leaf's serial number", |c| edit_chain(c, |chain| chain[0][20] ^= 1), "CHAIN"),
    (
        "a leaf's FMSPC",
        |c| {
            edit_chain(c, |chain| {
                let at = fmspc(&chain[0]);
                chain[0][at] ^= 1;
            });
        },
        "CHAIN",
    ),
    ("a leaf's signature", |c| edit_chain(c, |chain| *chain[0].last_mut().unwrap() ^= 1), "CHAIN"),
    ("no leaf", |c| edit_chain(c, |chain| drop(chain.remove(0))), "NO_ENDORSEMENT"),
    ("a leaf that is cut", |c| edit_chain(c, |chain| chain[0].truncate(900)), "PARSE"),
    ("the leaf of another machine", |c| edit_chain(c, |chain| chain[0] = other_chain().remove(0)), "SIGNATURE"),
    ("a leaf of another machine besides", |c| edit_chain(c, |chain| chain.push(other_chain().remove(0))), "CHAIN"),
    // Intel's authorities are compiled in. Those that a quote carries must be the same all the same.
    ("the leaf alone", |c| edit_chain(c, |chain| chain.truncate(1)), "accepted"),
    ("an authority's signature", |c| edit_chain(c, |chain| *chain[1].last_mut().unwrap() ^= 1), "CHAIN"),
    ("a root's signature", |c| edit_chain(c, |chain| *chain[2].last_mut().unwrap() ^= 1), "CHAIN"),
    ("the chain in another order", |c| edit_chain(c, |chain| chain.reverse()), "accepted"),
    ("QE SVN in the header", |c| c.flip(QUOTE, 8), "SIGNATURE"),
    ("PCE SVN in the header", |c| c.flip(QUOTE, 10), "SIGNATURE"),
    ("user data in the header", |c| c.flip(QUOTE, 28), "SIGNATURE"),
    ("last byte of the header", |c| c.flip(QUOTE, 47), "SIGNATURE"),
    ("signature, r", |c| c.flip(QUOTE, v4::SIGNATURE), "SIGNATURE"),
    ("signature, s", |c| c.flip(QUOTE, v4::SIGNATURE + 63), "SIGNATURE"),
    ("signature, all zero", |c| c.set(QUOTE, v4::SIGNATURE, &[0; 64]), "SIGNATURE"),
    ("signature, r zero", |c| c.set(QUOTE, v4::SIGNATURE, &[0; 32]), "SIGNATURE"),
    ("signature, s zero", |c| c.set(QUOTE, v4::SIGNATURE + 32, &[0; 32]), "SIGNATURE"),
    ("signature, r of the order", |c| c.set(QUOTE, v4::SIGNATURE, &ORDER), "SIGNATURE"),
    ("signature, halves swapped", |c| c.file(QUOTE)[v4::SIGNATURE..v4::SIGNATURE + 64].rotate_left(32), "SIGNATURE"),
    ("the signature of another quote", |c| graft(c, v4::SIGNATURE, 64), "SIGNATURE"),
    ("attestation key", |c| c.flip(QUOTE, v4::ATTESTATION_KEY), "SIGNATURE"),
    ("attestation key, zero", |c| c.set(QUOTE, v4::ATTESTATION_KEY, &[0; 64]), "SIGNATURE"),
    ("the attestation key of another quote", |c| graft(c, v4::ATTESTATION_KEY, 64), "SIGNATURE"),
    ("signature and key of another quote", |c| graft(c, v4::SIGNATURE, 128), "SIGNATURE"),
    (
        "everything but the report of another quote",
        |c| graft(c, v4::SIGNATURE, v4::AUTH + 32 - v4::SIGNATURE),
        "SIGNATURE",
    ),
    ("the report of another quote", |c| graft(c, 48, 584), "SIGNATURE"),
    ("QE report, CPUSVN", |c| c.flip(QUOTE, v4::QE_REPORT), "SIGNATURE"),
    ("QE report, MISCSELECT", |c| c.flip(QUOTE, v4::QE_REPORT + 16), "SIGNATURE"),
    ("QE report, attributes", |c| c.set(QUOTE, v4::QE_REPORT + 48, &[0x07]), "SIGNATURE"),
    ("QE report, MRENCLAVE", |c| c.flip(QUOTE, v4::QE_REPORT + 64), "SIGNATURE"),
    ("QE report, MRSIGNER", |c| c.flip(QUOTE, v4::QE_REPORT + 128), "SIGNATURE"),
    ("QE report, ISVPRODID", |c| c.flip(QUOTE, v4::QE_REPORT + 256), "SIGNATURE"),
    ("QE report, ISVSVN", |c| c.flip(QUOTE, v4::QE_REPORT + 258), "SIGNATURE"),
    ("QE report, hash of the key", |c| c.flip(QUOTE, v4::QE_REPORT + 320), "SIGNATURE"),
    ("QE report, zeros after the hash", |c| c.flip(QUOTE, v4::QE_REPORT + 383), "SIGNATURE"),
    ("QE report's signature", |c| c.flip(QUOTE, v4::QE_SIGNATURE), "SIGNATURE"),
    ("QE report's signature, zero", |c| c.set(QUOTE, v4::QE_SIGNATURE, &[0; 64]), "SIGNATURE"),
    ("authentication data", |c| c.flip(QUOTE, v4::AUTH), "SIGNATURE"),
];

const BODY_OF_VERSION_5: &[Row] = &[
    ("body of type 0", |c| c.set(QUOTE, 48, &[0]), "PARSE"),
    ("body of an enclave", |c| c.set(QUOTE, 48, &[1]), "PLATFORM_NOT_ALLOWED"),
    ("TD 1.5 called TD 1.0", |c| c.set(QUOTE, 48, &[2]), "PARSE"),
    ("an extended body by its type alone", |c| c.set(QUOTE, 48, &[4]), "PARSE"),
    ("an extended body by type and size", |c| c.set(QUOTE, 48, &[4, 0, 0x75, 3, 0, 0]), "PARSE"),
    ("TD 1.0 by type and size", |c| c.set(QUOTE, 48, &[2, 0, 0x48, 2, 0, 0]), "PARSE"),
    ("body of type 5", |c| c.set(QUOTE, 48, &[5]), "PARSE"),
    ("body one byte shorter", |c| c.set(QUOTE, 50, &[0x87]), "PARSE"),
    ("body one byte longer", |c| c.set(QUOTE, 50, &[0x89]), "PARSE"),
    ("version 5 called 4", |c| c.set(QUOTE, 0, &[4]), "PARSE"),
    ("TEE_TCB_SVN2", |c| c.flip(QUOTE, 54 + 584), "SIGNATURE"),
    ("MRSERVICETD", |c| c.flip(QUOTE, 54 + 600), "SIGNATURE"),
    ("last byte of the body", |c| c.flip(QUOTE, 54 + 647), "SIGNATURE"),
];

#[test]
fn every_derived_defect_is_refused_with_its_code() {
    let mut wrong = Vec::new();
    for (base, rows) in [(V4, STRUCTURE), (V4, CHAIN_AND_SIGNATURES), (V5, BODY_OF_VERSION_5)] {
        wrong.extend(wrong_rows(base, Policy::strict, rows));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_field_of_the_report_is_under_the_signature() {
    let vector = Captured::named(V4);
    for (field, start, length) in BODY {
        for at in [start, start + length - 1] {
            let mut artefacts = vector.artefacts.clone();
            artefacts[vector.index(QUOTE)][at] ^= 0x80;
            let result = vector.question(Policy::strict()).about(&artefacts);
            assert_eq!(outcome(&result), "SIGNATURE", "{field} at {at}");
        }
    }
}

#[test]
fn a_quote_that_ends_anywhere_before_its_end_is_malformed() {
    let vector = Captured::named(V4);
    let index = vector.index(QUOTE);
    let (padded, end) = (&vector.artefacts[index], v4::SIGNATURE + word(&vector.artefacts[index], v4::SIGNATURE_LEN));
    for length in 0..=padded.len() {
        let mut artefacts = vector.artefacts.clone();
        artefacts[index].truncate(length);
        let wanted = if length < end { "PARSE" } else { "accepted" };
        assert_eq!(outcome(&vector.question(Policy::strict()).about(&artefacts)), wanted, "{length} bytes");
    }
}

/// Adds to the length (of two bytes or four, little-endian) at an offset of the quote.
fn resize(changed: &mut Changed, at: usize, by: i32) {
    let quote = changed.file(QUOTE);
    let length = i32::from(u16::from_le_bytes([quote[at], quote[at + 1]])) + by;
    quote[at..at + 2].copy_from_slice(&(length as u16).to_le_bytes());
}

/// Copies the same bytes over from the quote of another machine.
fn graft(changed: &mut Changed, at: usize, length: usize) {
    let other = file_of("tdx/002-v4-collateral-other-fmspc", QUOTE);
    changed.set(QUOTE, at, &other[at..at + length]);
}

fn other_chain() -> Vec<Vec<u8>> {
    chain(&file_of("tdx/206-v4-component-too-low", QUOTE))
}

fn edit_chain(changed: &mut Changed, edit: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let quote = changed.file(QUOTE);
    let mut certificates = chain(quote);
    edit(&mut certificates);
    *quote = with_chain(quote, &certificates);
}

/// Where the FMSPC stands in a PCK certificate (1.2.840.113741.1.13.1.4, then its octets).
fn fmspc(leaf: &[u8]) -> usize {
    position(leaf, b"\x2a\x86\x48\x86\xf8\x4d\x01\x0d\x01\x04\x04\x06") + 12
}
