//! Messages to and from the `bhttp` crate, any split, and a case for each way to be refused.

use std::io::Cursor;

use bhttp::{Message, Mode, StatusCode};
use proptest::prelude::*;

use super::*;

fn head() -> RequestHead {
    RequestHead {
        method: "POST".into(),
        scheme: "https".into(),
        authority: "bank-prod.strongroom.invalid".into(),
        path: "/v1/chat/completions?x=1".into(),
        headers: vec![
            ("authorization".into(), "Bearer sk-1".into()),
            ("content-type".into(), "application/json".into()),
            ("x-empty".into(), String::new()),
        ],
    }
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn decode_request(bytes: &[u8]) -> Result<(RequestHead, Vec<u8>), BhttpError> {
    let mut decoder = RequestDecoder::new();
    decoder.push(bytes)?;
    decoder.finish()
}

/// Status, headers, content, trailers of a response pushed in these pieces.
fn decode_response(pieces: &[&[u8]]) -> Result<(u16, Fields, Vec<u8>, Fields), BhttpError> {
    let mut decoder = ResponseDecoder::new();
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(decoder.push(piece)?);
    }
    events.extend(decoder.finish()?);
    let mut whole = (0, Fields::new(), Vec::new(), Fields::new());
    let mut ends = 0;
    for event in events {
        match event {
            ResponseEvent::Head { status, headers } => (whole.0, whole.1) = (status, headers),
            ResponseEvent::Content(content) => whole.2.extend(content),
            ResponseEvent::End { trailers } => {
                whole.3 = trailers;
                ends += 1;
            }
        }
    }
    assert_eq!(ends, 1);
    Ok(whole)
}

fn our_response(pad: bool) -> Vec<u8> {
    let (mut encoder, mut out) = ResponseEncoder::head(200, &fields(&[("content-type", "text/event-stream")])).unwrap();
    out.extend(encoder.content(b"data: 1\n\n"));
    out.extend(encoder.content(b""));
    out.extend(encoder.content(&[b'x'; 300]));
    out.extend(encoder.finish(&fields(&[("strongroom-receipt", "cmVjZWlwdA")]), pad).unwrap());
    out
}

/// A response by the other implementation, with an informational response before it.
fn their_response(mode: Mode) -> Vec<u8> {
    let mut informational = Message::response(StatusCode::try_from(103_u16).unwrap());
    informational.put_header("link", "</style.css>");
    let mut message = Message::response(StatusCode::OK);
    message.put_header("content-type", "text/plain");
    message.write_content(b"hello ");
    message.write_content(b"there");
    message.put_trailer("strongroom-receipt", "abc");
    let (mut first, mut second) = (Vec::new(), Vec::new());
    informational.write_bhttp(mode, &mut first).unwrap();
    message.write_bhttp(mode, &mut second).unwrap();
    // An informational response is status and fields; it goes after the framing indicator of the final one.
    // Its own framing indicator, empty content and empty trailers go: one byte each.
    [&second[..1], &first[1..first.len() - 2], &second[1..]].concat()
}

#[test]
fn our_request_is_read_by_bhttp() {
    for (body, pad) in [(&b""[..], false), (b"{}", false), (&[7; 70_000], false), (b"{}", true)] {
        let wire = encode_request(&head(), body, pad).unwrap();
        assert!(!pad || wire.len() == 256);
        let theirs = Message::read_bhttp(&mut Cursor::new(&wire[..])).unwrap();
        assert_eq!(theirs.control().method(), Some(&b"POST"[..]));
        assert_eq!(theirs.control().authority(), Some(&b"bank-prod.strongroom.invalid"[..]));
        assert_eq!(theirs.control().path(), Some(&b"/v1/chat/completions?x=1"[..]));
        assert_eq!(theirs.header().get(b"authorization"), Some(&b"Bearer sk-1"[..]));
        assert_eq!(theirs.content(), body);
        assert_eq!(decode_request(&wire).unwrap(), (head(), body.to_vec()), "and by us");
    }
}

#[test]
fn their_request_is_read_by_us() {
    for mode in [Mode::KnownLength, Mode::IndeterminateLength] {
        let mut theirs = Message::request(
            b"POST".into(),
            b"https".into(),
            b"bank-prod.strongroom.invalid".into(),
            b"/v1/chat/completions?x=1".into(),
        );
        for (name, value) in head().headers {
            theirs.put_header(name, value);
        }
        theirs.write_content(b"{\"model\":\"m\"}");
        theirs.put_trailer("x-checked", "and dropped");
        let mut wire = Vec::new();
        theirs.write_bhttp(mode, &mut wire).unwrap();
        let (found, body) = decode_request(&wire).unwrap();
        assert_eq!(found, head());
        assert_eq!(body, b"{\"model\":\"m\"}");
    }
}

#[test]
fn our_response_is_read_by_bhttp() {
    for pad in [false, true] {
        let wire = our_response(pad);
        assert!(!pad || wire.len() == 512);
        let theirs = Message::read_bhttp(&mut Cursor::new(&wire[..])).unwrap();
        assert_eq!(theirs.control().status().unwrap().code(), 200);
        assert_eq!(theirs.content().len(), 309);
        assert_eq!(theirs.trailer().get(b"strongroom-receipt"), Some(&b"cmVjZWlwdA"[..]));
    }
}

#[test]
fn their_response_is_read_by_us_without_the_informational_one() {
    for mode in [Mode::KnownLength, Mode::IndeterminateLength] {
        let wire = their_response(mode);
        assert_eq!(
            decode_response(&[&wire]).unwrap(),
            (
                200,
                fields(&[("content-type", "text/plain")]),
                b"hello there".to_vec(),
                fields(&[("strongroom-receipt", "abc")])
            )
        );
    }
}

#[test]
fn empty_content_and_trailers_may_be_left_out() {
    // Known length: status 200, empty field section. Indeterminate: status 200, end of fields.
    for wire in [&[1, 0x40, 200, 0][..], &[3, 0x40, 200, 0]] {
        for more in [&[][..], &[0], &[0, 0], &[0; 40]] {
            let wire = [wire, more].concat();
            let (status, _, content, trailers) = decode_response(&[&wire]).unwrap();
            assert_eq!((status, content.len(), trailers.len()), (200, 0, 0));
        }
    }
}

#[test]
fn every_other_truncation_is_truncated() {
    for wire in [our_response(false), their_response(Mode::KnownLength), their_response(Mode::IndeterminateLength)] {
        let whole = decode_response(&[&wire]).unwrap();
        for cut in 0..wire.len() {
            match decode_response(&[&wire[..cut]]) {
                Err(error) => assert_eq!(error, BhttpError::Truncated, "{cut}"),
                // Where a message may end, it is another message, never one with half a content.
                Ok((_, _, content, trailers)) => {
                    assert!(content.is_empty() || content == whole.2, "{cut}");
                    assert!(trailers.is_empty());
                }
            }
        }
    }
}

#[test]
fn malformed_messages_are_refused() {
    let good = encode_request(&head(), b"{}", false).unwrap();
    let malformed = |bytes: &[u8]| matches!(decode_request(bytes), Err(BhttpError::Malformed(_)));
    assert!(malformed(&our_response(false)), "a response where a request is wanted");
    assert!(malformed(&[9]), "an unknown framing indicator");
    assert!(malformed(&[&good[..], &[1]].concat()), "padding not zero");
    for (from, to) in [
        ("https", "httpx"),
        ("POST", "PO T"),
        ("/v1", "xv1"),
        ("bank-prod", "bank@prod"),
        ("authorization", "Authorization"),
        ("Bearer sk-1", "Bearer\r\n: 1"),
        ("Bearer sk-1", "Bearer s\0-1"),
        ("content-type", ":ontent-type"),
    ] {
        let at = good.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let mut bad = good.clone();
        bad[at..at + from.len()].copy_from_slice(&to.as_bytes()[..from.len()]);
        assert!(malformed(&bad), "{from} as {to}");
    }
    for status in [0_u8, 99] {
        assert!(decode_response(&[&[3, 0x40, status, 0]]).is_err());
    }
    assert_eq!(decode_response(&[&[3, 0x42, 0x58, 0]]), Err(BhttpError::Malformed("status")), "600");
}

#[test]
fn a_known_length_field_section_ends_where_it_says() {
    // Section of 3 bytes: name "a", then a value length of 5 that runs past its end.
    assert_eq!(
        decode_response(&[&[1, 0x40, 200, 3, 1, b'a', 5, 1, 2, 3, 4, 5]]),
        Err(BhttpError::Malformed("field section"))
    );
    assert_eq!(decode_response(&[&[1, 0x40, 200, 1, 0]]), Err(BhttpError::Malformed("field section")));
}

#[test]
fn limits_hold_before_the_bytes_arrive() {
    let tight = Limits { control: 8, fields: 32, field_count: 2, informational: 1, content: 10, padding: 4 };
    let response = |bytes: &[u8]| -> Result<(), BhttpError> {
        let mut decoder = ResponseDecoder::with_limits(tight);
        decoder.push(bytes)?;
        decoder.finish().map(drop)
    };
    assert_eq!(response(&[3, 0x40, 200, 0x7f]), Err(BhttpError::Truncated), "half a length decides nothing");
    assert_eq!(response(&[3, 0x40, 200, 0x7f, 0xff]), Err(BhttpError::TooLarge("field section")));
    assert_eq!(
        response(&[3, 0x40, 200, 1, b'a', 0, 1, b'b', 0, 1, b'c', 0]),
        Err(BhttpError::TooLarge("number of fields"))
    );
    assert_eq!(response(&[3, 0x40, 200, 0, 6, 0, 0, 0, 0, 0, 0, 5]), Err(BhttpError::TooLarge("content")));
    assert_eq!(response(&[3, 0x40, 200, 0, 0, 0, 0, 0, 0, 0, 0]), Err(BhttpError::TooLarge("padding")));
    assert_eq!(
        response(&[3, 0x40, 103, 0, 0x40, 103, 0, 0x40, 200, 0]),
        Err(BhttpError::TooLarge("number of informational responses"))
    );
    let mut decoder = RequestDecoder::with_limits(tight);
    let refused = Err(BhttpError::TooLarge("control data"));
    assert_eq!(decoder.push(&[2, 9]), refused);
    assert_eq!(decoder.push(&[]), refused, "and it stays refused");
}

#[test]
fn encoders_refuse_what_decoders_refuse() {
    let bad = RequestHead { path: "no-slash".into(), ..head() };
    assert!(encode_request(&bad, b"", false).is_err());
    let bad = RequestHead { headers: fields(&[("x", "a\nb")]), ..head() };
    assert!(encode_request(&bad, b"", false).is_err());
    assert!(ResponseEncoder::head(103, &Fields::new()).is_err());
    assert!(ResponseEncoder::head(200, &fields(&[("Upper", "")])).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_split_gives_the_same_response(
        which in 0_usize..4,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let wire = match which {
            0 => our_response(false),
            1 => our_response(true),
            2 => their_response(Mode::KnownLength),
            _ => their_response(Mode::IndeterminateLength),
        };
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
        at.extend([0, wire.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &wire[pair[0]..pair[1]]).collect();
        prop_assert_eq!(decode_response(&pieces), decode_response(&[&wire]));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for kind in 0..4 {
            let mut wire = vec![kind];
            wire.extend_from_slice(&bytes);
            let _ = decode_request(&wire);
            let _ = ResponseDecoder::new().push(&wire);
        }
    }

    #[test]
    fn requests_come_back(body in prop::collection::vec(any::<u8>(), 0..9000), pad in any::<bool>()) {
        let wire = encode_request(&head(), &body, pad).unwrap();
        prop_assert!(!pad || crate::padding::bucket(wire.len()) == wire.len());
        prop_assert_eq!(decode_request(&wire).unwrap(), (head(), body));
    }
}
