//! Both of our ends against each other: any split, and every way to tamper.

use proptest::prelude::*;

use super::*;

struct Pair {
    key: KeyPair,
    config: KeyConfig,
}

fn pair() -> Pair {
    let key = KeyPair::generate(7);
    let config = KeyConfig::parse_list(&key.config_list()).unwrap().remove(0);
    Pair { key, config }
}

/// A request in wire pieces: header, chunks, final chunk.
fn seal_request(config: &KeyConfig, suite: Suite, chunks: &[&[u8]], last: &[u8]) -> (Vec<Vec<u8>>, ResponseOpener) {
    let (mut sealer, header) = RequestSealer::new(config, suite).unwrap();
    let mut pieces = vec![header];
    for chunk in chunks {
        pieces.push(sealer.seal_chunk(chunk).unwrap());
    }
    let (end, opener) = sealer.finish(last).unwrap();
    pieces.push(end);
    (pieces, opener)
}

fn open_request(key: &KeyPair, pieces: &[&[u8]]) -> Result<(Vec<u8>, RequestOpener), OhttpError> {
    let mut opener = RequestOpener::new(key);
    let mut plain = Vec::new();
    for piece in pieces {
        plain.extend(opener.push(piece)?.concat());
    }
    plain.extend(opener.finish()?);
    assert!(opener.is_finished());
    Ok((plain, opener))
}

fn seal_response(mut sealer: ResponseSealer, chunks: &[&[u8]], last: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = vec![sealer.header()];
    for chunk in chunks {
        pieces.push(sealer.seal_chunk(chunk).unwrap());
    }
    pieces.push(sealer.finish(last).unwrap());
    pieces
}

fn open_response(opener: &mut ResponseOpener, pieces: &[&[u8]]) -> Result<Vec<u8>, OhttpError> {
    let mut plain = Vec::new();
    for piece in pieces {
        plain.extend(opener.push(piece)?.concat());
    }
    plain.extend(opener.finish()?);
    assert!(opener.is_finished());
    Ok(plain)
}

/// A response of three chunks and a final one, and fresh openers for it.
struct Response {
    suite: Suite,
    secret: zeroize::Zeroizing<Vec<u8>>,
    enc: Vec<u8>,
    pieces: Vec<Vec<u8>>,
    plain: Vec<u8>,
}

impl Response {
    fn new(suite: Suite) -> Self {
        let enc = vec![3; 1120];
        let secret = zeroize::Zeroizing::new(vec![5; suite.key_len()]);
        let chunks: [&[u8]; 3] = [b"first", &[b'2'; 100], b"third"];
        let sealer = ResponseSealer::new(suite, &secret, &enc).unwrap();
        Response {
            suite,
            secret,
            enc,
            pieces: seal_response(sealer, &chunks, b"end"),
            plain: [&chunks.concat()[..], b"end"].concat(),
        }
    }

    fn open(&self, pieces: &[&[u8]]) -> Result<Vec<u8>, OhttpError> {
        let mut opener = ResponseOpener::new(self.suite, self.secret.clone(), self.enc.clone());
        open_response(&mut opener, pieces)
    }

    fn wire(&self) -> Vec<u8> {
        self.pieces.concat()
    }
}

#[test]
fn both_directions_with_both_suites() {
    let Pair { key, config } = pair();
    for suite in Suite::ALL {
        let long = vec![b'q'; 3 * SEALED_CHUNK_MOST + 5];
        let (pieces, mut opener) = seal_request(&config, suite, &[b"one", b"", &long], &long);
        let wire = pieces.concat();
        let (plain, request) = open_request(&key, &[&wire]).unwrap();
        assert_eq!(plain, [&b"one"[..], &long, &long].concat());
        assert_eq!(request.enc().unwrap(), &wire[7..7 + 1120]);
        let answer = seal_response(request.into_response().unwrap(), &[b"a", &long], b"");
        let opened = open_response(&mut opener, &[&answer.concat()]).unwrap();
        assert_eq!(opened, [&b"a"[..], &long].concat());
    }
}

#[test]
fn key_config_is_that_of_rfc_9458() {
    let Pair { key, config } = pair();
    let encoded = key.key_config();
    assert_eq!(encoded.len(), 1 + 2 + 1216 + 2 + 8);
    assert_eq!(encoded[..3], [7, 0x64, 0x7a]);
    assert_eq!(encoded[1219..], [0, 8, 0, 1, 0, 2, 0, 1, 0, 1]);
    assert_eq!(config.as_bytes(), encoded);
    assert_eq!(config.to_list(), key.config_list());
    assert_eq!(config.suites(), Suite::ALL);
    assert_eq!(config.key_id(), 7);
}

#[test]
fn key_config_lists_skip_what_is_unknown_and_refuse_what_is_malformed() {
    let list = pair().key.config_list();
    let unknown_kem = [0, 3, 1, 0, 0x20];
    let found = KeyConfig::parse_list(&[&unknown_kem[..], &list].concat()).unwrap();
    assert_eq!(found.len(), 1);
    let mut other_suites = list.clone();
    for at in [list.len() - 1, list.len() - 5] {
        other_suites[at] = 3;
    }
    assert_eq!(KeyConfig::parse_list(&other_suites), Ok(vec![]));
    assert_eq!(KeyConfig::parse_list(&[]), Ok(vec![]));

    let refused = Err(OhttpError::KeyConfig);
    for cut in [1, 2, 4, 5, 700, list.len() - 9, list.len() - 1] {
        assert_eq!(KeyConfig::parse_list(&list[..cut]), refused, "{cut}");
    }
    assert_eq!(KeyConfig::parse_list(&[&list[..], &list].concat()), refused, "one id twice");
    assert_eq!(KeyConfig::parse_list(&[&list[..], &[0]].concat()), refused, "a byte after the end");
    let mut not_reduced = list.clone();
    not_reduced[5..1157].fill(0xff);
    assert_eq!(KeyConfig::parse_list(&not_reduced), refused, "an ML-KEM key out of range");
    let mut odd = list.clone();
    odd[1] -= 1;
    odd.pop();
    let at = odd.len() - 8;
    odd[at] = 7;
    assert_eq!(KeyConfig::parse_list(&odd), refused, "half a symmetric suite");
}

#[test]
fn unknown_key_or_suite_is_told_apart_before_decapsulation() {
    let Pair { key, config } = pair();
    let (pieces, _) = seal_request(&config, Suite::Aes256Gcm, &[], b"x");
    let wire = pieces.concat();
    for (at, value) in [(0, 8), (1, 0), (4, 2), (6, 3)] {
        let mut other = wire.clone();
        other[at] = value;
        assert_eq!(open_request(&key, &[&other[..7]]).err(), Some(OhttpError::UnknownKey), "{at}");
    }
    // The other suite is known, but it is bound into the key schedule.
    let mut other = wire.clone();
    other[6] = 1;
    assert_eq!(open_request(&key, &[&other]).err(), Some(OhttpError::Invalid));
}

#[test]
fn another_instances_key_opens_nothing() {
    let Pair { config, .. } = pair();
    let other = pair().key;
    let (pieces, _) = seal_request(&config, Suite::Aes256Gcm, &[b"secret"], b"");
    assert_eq!(open_request(&other, &[&pieces.concat()]).err(), Some(OhttpError::Invalid));
}

#[test]
fn a_retired_key_still_opens_during_overlap() {
    let (old, new) = (KeyPair::generate(1), KeyPair::generate(2));
    let config = KeyConfig::parse_list(&old.config_list()).unwrap().remove(0);
    let (pieces, _) = seal_request(&config, Suite::Aes128Gcm, &[], b"begun before");
    let mut opener = RequestOpener::with_keys(&[&new, &old], Limits::request());
    opener.push(&pieces.concat()).unwrap();
    assert_eq!(opener.finish().unwrap(), b"begun before");
}

#[test]
fn encapsulated_key_counts_only_after_a_chunk_opened() {
    let Pair { key, config } = pair();
    let (pieces, _) = seal_request(&config, Suite::Aes256Gcm, &[b"x"], b"");
    let mut opener = RequestOpener::new(&key);
    opener.push(&pieces[0]).unwrap();
    assert_eq!(opener.enc(), None);
    opener.push(&pieces[1]).unwrap();
    assert_eq!(opener.enc().unwrap(), &pieces[0][7..]);
    assert!(!opener.is_finished());
    assert!(opener.into_response().is_ok(), "an early refusal can be encrypted");

    let mut opener = RequestOpener::new(&key);
    opener.push(&pieces[0]).unwrap();
    assert_eq!(opener.into_response().err(), Some(OhttpError::Misuse));
}

#[test]
fn every_truncation_of_a_response_fails() {
    for suite in Suite::ALL {
        let response = Response::new(suite);
        let wire = response.wire();
        assert_eq!(response.open(&[&wire]).unwrap(), response.plain);
        let final_at = wire.len() - response.pieces[4].len();
        for cut in 0..wire.len() {
            let found = response.open(&[&wire[..cut]]);
            if cut <= final_at + 16 {
                assert_eq!(found, Err(OhttpError::Truncated), "{cut}");
            } else {
                assert_eq!(found, Err(OhttpError::Invalid), "{cut}");
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_a_response_fails() {
    let response = Response::new(Suite::Aes256Gcm);
    let wire = response.wire();
    for at in 0..wire.len() {
        for bit in 0..8 {
            let mut bad = wire.clone();
            bad[at] ^= 1 << bit;
            assert!(response.open(&[&bad]).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn dropped_repeated_reordered_and_foreign_chunks_fail() {
    let response = Response::new(Suite::Aes128Gcm);
    let pieces: Vec<&[u8]> = response.pieces.iter().map(Vec::as_slice).collect();
    let [nonce, first, second, third, end] = pieces[..] else { panic!("five pieces") };
    let other = Response::new(Suite::Aes128Gcm);
    for (what, pieces) in [
        ("dropped first", vec![nonce, second, third, end]),
        ("dropped last before the end", vec![nonce, first, second, end]),
        ("repeated", vec![nonce, first, first, second, third, end]),
        ("reordered", vec![nonce, second, first, third, end]),
        ("final chunk twice", vec![nonce, first, second, third, end, end]),
        ("bytes after the final chunk", vec![nonce, first, second, third, end, &[0]]),
        ("chunk of another response", vec![nonce, first, second, &other.pieces[3], end]),
        ("nonce of another response", vec![&other.pieces[0], first, second, third, end]),
        // The third chunk's ciphertext, framed as if it were the final one.
        ("a chunk taken for the final one", vec![nonce, first, second, &[0], &third[1..]]),
        // The final chunk's ciphertext with a length, as if more should follow.
        ("the final chunk taken for another", vec![nonce, first, second, third, &[19], &end[1..], end]),
    ] {
        assert_eq!(response.open(&pieces), Err(OhttpError::Invalid), "{what}");
    }
    assert_eq!(response.open(&[nonce, first, second, third]), Err(OhttpError::Truncated), "stripped final chunk");
}

#[test]
fn every_damage_to_a_request_is_one_error() {
    let Pair { key, config } = pair();
    let (pieces, _) = seal_request(&config, Suite::Aes256Gcm, &[b"prompt"], b"end");
    let wire = pieces.concat();
    // Two bits of every eleventh byte after the header: each costs a decapsulation.
    for at in (7..wire.len()).step_by(11) {
        for bit in [0, 7] {
            let mut bad = wire.clone();
            bad[at] ^= 1 << bit;
            let found = open_request(&key, &[&bad]).err();
            assert!(matches!(found, Some(OhttpError::Invalid | OhttpError::Truncated)), "byte {at}: {found:?}");
        }
    }
    for cut in [0, 6, 7, 1126, 1127, 1128, wire.len() - 1] {
        assert!(open_request(&key, &[&wire[..cut]]).is_err(), "{cut}");
    }
}

#[test]
fn limits_hold_and_the_refusal_stays() {
    let response = Response::new(Suite::Aes256Gcm);
    let wire = response.wire();
    let open = |limits: Limits| {
        let mut opener =
            ResponseOpener::new(response.suite, response.secret.clone(), response.enc.clone()).with_limits(limits);
        let found = open_response(&mut opener, &[&wire]);
        if let Err(error) = found {
            assert_eq!(opener.push(b"more"), Err(error));
            assert_eq!(opener.finish(), Err(error));
        }
        found
    };
    let total = wire.len() as u64 - 32;
    assert!(open(Limits { chunk: 116, total }).is_ok());
    assert_eq!(open(Limits { chunk: 115, total }), Err(OhttpError::TooLarge));
    assert_eq!(open(Limits { chunk: 116, total: total - 1 }), Err(OhttpError::TooLarge));
    // A length over the limit is refused before its bytes come.
    let nonce = &wire[..32];
    assert_eq!(response.open(&[nonce, &[0xff; 8]]), Err(OhttpError::TooLarge));
    assert_eq!(response.open(&[nonce, &[15]]), Err(OhttpError::Invalid), "shorter than a tag");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_split_opens_to_the_same(
        small in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let response = Response::new(if small { Suite::Aes128Gcm } else { Suite::Aes256Gcm });
        let wire = response.wire();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
        at.extend([0, wire.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &wire[pair[0]..pair[1]]).collect();
        prop_assert_eq!(response.open(&pieces).unwrap(), response.plain);
    }

    #[test]
    fn any_split_of_a_request_opens_to_the_same(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let Pair { key, config } = pair();
        let (pieces, _) = seal_request(&config, Suite::Aes256Gcm, &[b"first", &[9; 200]], b"end");
        let wire = pieces.concat();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
        at.extend([0, wire.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &wire[pair[0]..pair[1]]).collect();
        prop_assert_eq!(open_request(&key, &pieces).unwrap().0, [&b"first"[..], &[9; 200], b"end"].concat());
    }

    #[test]
    fn random_bytes_open_nothing(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let response = Response::new(Suite::Aes256Gcm);
        prop_assert!(response.open(&[&bytes]).is_err());
    }
}
