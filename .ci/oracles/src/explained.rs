//! Every difference that is known, and why it is none of ours to mend.

use crate::{Difference, Peer};

/// One known difference.
struct Known {
    peer: Peer,
    /// Why the two decide differently.
    reason: &'static str,
    applies: fn(&Difference) -> bool,
}

/// In the order in which they are asked.
const KNOWN: &[Known] = &[
    Known {
        peer: Peer::Sev,
        reason: "dates of certificates: sev does not look at them",
        applies: |it| they_accept(it) && objects(it, "COLLATERAL_EXPIRED"),
    },
    Known {
        peer: Peer::Sev,
        reason: "bytes of the report that nothing signs (after the signature, and above r and s): we want zeros, \
                 sev does not look",
        applies: |it| {
            they_accept(it) && it.part == "report" && it.changed.iter().all(unsigned) && objects(it, "evidence: PARSE")
        },
    },
    Known {
        peer: Peer::Sev,
        reason: "reserved bytes of a TCB version: signed, and lost where sev writes the report again to verify \
                 it, so that it accepts what nobody signed",
        applies: |it| they_accept(it) && it.part == "report" && it.changed.iter().all(|at| unsigned(at) || in_tcb(at)),
    },
    Known {
        peer: Peer::Sev,
        reason: "an empty certificate table after the report: extended reports have one, sev takes a bare report",
        applies: |it| {
            we_accept(it) && it.part == "report" && it.evidence.len() > 1184 && they_say(it, "expected 1184 bytes")
        },
    },
    Known {
        peer: Peer::Sev,
        reason: "the certificate's outer signature algorithm: it must equal the signed one (RFC 5280 4.1.1.2), \
                 sev reads its OID only",
        applies: |it| {
            they_accept(it)
                && it.part == "certificate"
                && objects(it, "endorsements: PARSE")
                && says(it, "signature algorithm")
        },
    },
    Known {
        peer: Peer::Sev,
        reason: "the count of unused bits in front of the certificate's signature, which nothing signs: zero in \
                 DER, sev does not look",
        applies: |it| {
            they_accept(it) && it.part == "certificate" && objects(it, "endorsements: PARSE") && says(it, "BIT STRING")
        },
    },
    Known {
        peer: Peer::Sev,
        reason: "zeros after the certificate, as memory of fixed size hands it over: we pass over them",
        applies: |it| we_accept(it) && they_say(it, "trailing data"),
    },
    Known {
        peer: Peer::TdxQuote,
        reason: "types and lengths around the parts of a quote, which nothing signs: we want each to be what it \
                 must be",
        applies: |it| they_accept(it) && it.part == "quote" && objects(it, "evidence: PARSE") && framing(it),
    },
    Known {
        peer: Peer::TdxQuote,
        reason: "PEM text in the quote: we take base64 with white space in it, between lines that are whole",
        applies: |it| they_accept(it) && it.part == "quote" && objects(it, "evidence: PARSE: a PEM object"),
    },
    Known {
        peer: Peer::TdxQuote,
        reason: "version 5: tdx-quote 0.0.5 takes the wrong bytes for the signed ones",
        applies: |it| we_accept(it) && it.evidence.first() == Some(&5) && they_say(it, "Verification"),
    },
    Known {
        peer: Peer::DcapQvl,
        reason: "types and lengths around the parts of a quote, which nothing signs: we want each to be what it \
                 must be",
        applies: |it| they_accept(it) && it.part == "quote" && objects(it, "evidence: PARSE") && framing(it),
    },
    Known {
        peer: Peer::DcapQvl,
        reason: "PEM text in the quote: we take base64 with white space in it, between lines that are whole",
        applies: |it| they_accept(it) && it.part == "quote" && objects(it, "evidence: PARSE: a PEM object"),
    },
    Known {
        peer: Peer::DcapQvl,
        reason: "a certificate in the quote that dcap-qvl does not need: we read all of them strictly, and each must \
                 be the authority that it stands for",
        applies: |it| {
            they_accept(it)
                && it.part == "quote"
                && after_leaf(it)
                && (objects(it, "evidence: PARSE") || objects(it, "CHAIN: certificates in the quote"))
        },
    },
    Known {
        peer: Peer::DcapQvl,
        reason: "an issuer chain of the collateral is broken: Intel's authorities and signers are compiled in \
                 here, and the chain is but a bag",
        applies: |it| we_accept(it) && it.part.ends_with("issuer chain"),
    },
    Known {
        peer: Peer::DcapQvl,
        reason: "a part of the collateral that dcap-qvl does not need: we read all of it strictly",
        applies: |it| they_accept(it) && it.part.ends_with("issuer chain") && objects(it, "endorsements: PARSE"),
    },
    Known {
        peer: Peer::DcapQvl,
        reason: "zeros after a revocation list: we pass over them",
        applies: |it| we_accept(it) && it.part.ends_with("list") && they_say(it, "TrailingData"),
    },
];

/// Why the two differ, if it is known.
pub fn reason(difference: &Difference) -> Option<&'static str> {
    let known = KNOWN.iter().find(|known| known.peer == difference.peer && (known.applies)(difference));
    known.map(|known| known.reason)
}

fn we_accept(it: &Difference) -> bool {
    it.decision.is_some() && it.theirs.is_err()
}

fn they_accept(it: &Difference) -> bool {
    it.decision.is_none() && it.theirs.is_ok()
}

/// Above r, above s, and after the signature.
fn unsigned(at: &usize) -> bool {
    (0x2D0..0x2E8).contains(at) || (0x318..0x4A0).contains(at)
}

/// Bytes of the current, reported, committed or launch TCB that some product line reserves.
fn in_tcb(at: &usize) -> bool {
    [0x38, 0x180, 0x1E0, 0x1F0].iter().any(|tcb| (tcb + 2..tcb + 7).contains(at))
}

/// Our objection begins like this.
fn objects(it: &Difference, with: &str) -> bool {
    it.ours.objection.starts_with(with)
}

/// Our objection has these words.
fn says(it: &Difference, words: &str) -> bool {
    it.ours.objection.contains(words)
}

/// Their refusal has these words.
fn they_say(it: &Difference, words: &str) -> bool {
    it.theirs.as_ref().is_err_and(|error| error.contains(words))
}

/// Whether every change is in a type or a length, or behind the first certificate.
fn framing(it: &Difference) -> bool {
    let word = |at: usize| {
        it.evidence.get(at..at + 4).map_or(0, |word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
    };
    let signature = match it.evidence.first() {
        Some(5) => 48 + 6 + word(50) as usize,
        _ => 48 + 584,
    };
    // Signature length; certification data; length of the QE's data; PCK data.
    let ranges = [0..4, 132..138, 586..588, 620..626];
    let is_framing =
        |at: usize| at.checked_sub(signature).is_some_and(|at| ranges.iter().any(|range| range.contains(&at)));
    let leaf_end = leaf_end(it).unwrap_or(usize::MAX);
    it.changed.iter().all(|at| is_framing(*at) || *at >= leaf_end)
}

/// Whether every change is behind the first certificate of the quote's chain.
fn after_leaf(it: &Difference) -> bool {
    leaf_end(it).is_some_and(|end| it.changed.iter().all(|at| *at >= end))
}

fn leaf_end(it: &Difference) -> Option<usize> {
    const END: &[u8] = b"-----END CERTIFICATE-----";
    it.evidence.windows(END.len()).position(|window| window == END).map(|end| end + END.len())
}
