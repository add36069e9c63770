//! ONNX files by their defect, from a writer of single fields; and what other programs wrote.

use std::io::Cursor;

use proptest::prelude::*;

use super::{MAX_NAME_BYTES, MAX_TEXT_BYTES, OnnxDefect, OnnxError, check_onnx};

const INSIDE: &[u8] = include_bytes!("../../../../tests/vectors/onnx/inside/model.onnx");
const BESIDE: &[u8] = include_bytes!("../../../../tests/vectors/onnx/beside/model.onnx");
const DATA: &[u8] = include_bytes!("../../../../tests/vectors/onnx/beside/model.onnx_data");

/// The files of the model beside the ONNX file.
fn length_of(path: &str) -> Option<u64> {
    match path {
        "model.onnx_data" => Some(DATA.len() as u64),
        "weights/a" => Some(100),
        "*/_ORT_MEM_ADDR_/*" | "C:a" => Some(100),
        _ => None,
    }
}

fn check(bytes: &[u8]) -> Result<(), OnnxError> {
    check_onnx(Cursor::new(bytes), bytes.len() as u64, &length_of)
}

fn defect(bytes: &[u8]) -> Option<OnnxDefect> {
    check(bytes).err().map(|error| error.defect)
}

// The writer.

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn key(number: u64, wire: u64) -> Vec<u8> {
    varint(number << 3 | wire)
}

fn int(number: u64, value: u64) -> Vec<u8> {
    [key(number, 0), varint(value)].concat()
}

fn field(number: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [&key(number, 2), &varint(content.len() as u64), content].concat()
}

/// A model whose graph is of these parts.
fn graph(parts: &[Vec<u8>]) -> Vec<u8> {
    model(&[field(7, parts.concat())])
}

/// A model with an IR version and an operator set, and these parts.
fn model(parts: &[Vec<u8>]) -> Vec<u8> {
    [int(1, 10), field(8, int(2, 21)), parts.concat()].concat()
}

/// A model with one tensor of these fields.
fn tensor(fields: &[Vec<u8>]) -> Vec<u8> {
    graph(&[field(5, fields.concat())])
}

fn floats(dimensions: &[u64], bytes: usize) -> Vec<Vec<u8>> {
    let dimensions = dimensions.iter().map(|dimension| int(1, *dimension)).collect::<Vec<_>>().concat();
    vec![dimensions, int(2, 1), field(9, vec![0; bytes])]
}

/// A model with one tensor of 25 floats, which lies outside as these entries say.
fn external(entries: &[(&str, &str)]) -> Vec<u8> {
    let entries = entries.iter().map(|(name, value)| field(13, [field(1, name), field(2, value)].concat()));
    let entries = entries.collect::<Vec<_>>().concat();
    tensor(&[int(1, 25), int(2, 1), entries, int(14, 1)])
}

/// A node whose attribute is a graph whose node's attribute is a graph, so often.
fn graphs_in_graphs(times: usize) -> Vec<u8> {
    (0..times).fold(Vec::new(), |inner, _| field(1, field(5, field(6, inner))))
}

#[test]
fn what_other_programs_wrote_is_accepted() {
    assert_eq!(check(INSIDE), Ok(()));
    assert_eq!(check(BESIDE), Ok(()));
}

#[test]
fn sound_files_are_accepted() {
    let packed =
        [field(1, [varint(2), varint(3)].concat()), int(2, 7), field(7, [varint(1), varint(u64::MAX)].concat())];
    let rest = [int(7, 2), int(7, 3), int(7, 4), int(7, 5)].concat();
    let cases = [
        ("an empty graph", graph(&[])),
        ("a tensor in raw_data", tensor(&floats(&[5, 5], 100))),
        ("one value without dimensions", tensor(&floats(&[], 4))),
        ("no values", tensor(&[int(1, 0), int(2, 1)])),
        ("varints packed, and one by one", tensor(&[packed.concat(), rest])),
        ("values of two bits", tensor(&[int(1, 9), int(2, 25), field(9, [0; 3])])),
        ("complex values in pairs", tensor(&[int(1, 2), int(2, 14), field(4, [0; 16])])),
        ("texts", tensor(&[int(1, 2), int(2, 8), field(6, "a"), field(6, "")])),
        ("graphs in graphs to the limit", graph(&[graphs_in_graphs(33)])),
        ("outside, to the end", external(&[("location", "weights/a")])),
        (
            "outside, in full",
            external(&[("location", "weights/a"), ("offset", "0"), ("length", "100"), ("checksum", "0")]),
        ),
    ];
    for (name, bytes) in cases {
        assert_eq!(check(&bytes), Ok(()), "{name}");
    }
}

#[test]
fn what_is_malformed_is_refused_by_its_defect() {
    use OnnxDefect::{
        Cut, NotAModel, NotText, Outside, Packed, TooDeep, TooLong, Twice, UnknownField, Varint, WireType,
    };
    let text = "x".repeat(MAX_NAME_BYTES as usize + 1);
    let last = |bytes: &[u8]| [&model(&[]), bytes].concat();
    let cases = [
        ("nothing", vec![], NotAModel { what: "ir_version" }),
        ("no graph", model(&[]), NotAModel { what: "graph" }),
        ("no operator set", [int(1, 10), field(7, "")].concat(), NotAModel { what: "opset_import" }),
        ("no version", [field(8, ""), field(7, "")].concat(), NotAModel { what: "ir_version" }),
        ("an old version", int(1, 2), OnnxDefect::IrVersion { found: 2, oldest: 3, newest: 14 }),
        ("a version to come", int(1, 15), OnnxDefect::IrVersion { found: 15, oldest: 3, newest: 14 }),
        ("another format", b"GGUF\x03\0\0\0".to_vec(), WireType { field: "opset_import", wire: 7 }),
        ("a field that is not known", last(&int(9, 1)), UnknownField { message: "ModelProto", number: 9 }),
        ("the field number 0", last(&[0, 0]), UnknownField { message: "ModelProto", number: 0 }),
        ("a segment of a tensor", tensor(&[field(3, "")]), UnknownField { message: "TensorProto", number: 3 }),
        ("a key without end", last(&[0x80]), Cut),
        ("a length without end", last(&[0x3a, 0x80]), Cut),
        ("a number cut off by its message", graph(&[field(5, [0x10, 0x80])]), Cut),
        ("a number of eleven bytes", last(&[[0x28].as_slice(), &[0x80; 10], &[1]].concat()), Varint),
        ("a number beyond 64 bits", last(&[[0x28].as_slice(), &[0xff; 9], &[2]].concat()), Varint),
        ("a number in more bytes than it needs", last(&[0x28, 0x81, 0]), Varint),
        ("a length in more bytes than it needs", last(&[0x12, 0x80, 0]), Varint),
        ("a group begins", last(&key(7, 3)), WireType { field: "graph", wire: 3 }),
        ("a group ends", last(&key(7, 4)), WireType { field: "graph", wire: 4 }),
        ("the wire type 6", last(&key(7, 6)), WireType { field: "graph", wire: 6 }),
        ("the wire type 7", last(&key(7, 7)), WireType { field: "graph", wire: 7 }),
        ("a graph that is a number", last(&int(7, 0)), WireType { field: "graph", wire: 0 }),
        ("a length beyond the file", last(&[0x3a, 1]), Outside { field: "graph" }),
        ("a length beyond everything", last(&[key(7, 2), varint(u64::MAX)].concat()), Outside { field: "graph" }),
        ("a length beyond its message", graph(&[vec![0x12, 2, b'a']]), Outside { field: "name" }),
        (
            "a length beyond its message, within the file",
            [graph(&[vec![0x12, 4, b'a']]), field(2, "after")].concat(),
            Outside { field: "name" },
        ),
        ("four bytes of which three are there", graph(&[field(1, field(5, [0x15, 0, 0, 0]))]), Outside { field: "f" }),
        ("floats of five bytes", graph(&[field(1, field(5, field(7, [0; 5])))]), Packed { field: "floats" }),
        ("doubles of twelve bytes", tensor(&[int(2, 11), field(10, [0; 12])]), Packed { field: "double_data" }),
        ("packed numbers that are cut", graph(&[field(1, field(5, field(8, [0x80])))]), Cut),
        ("two graphs", last(&[field(7, ""), field(7, "")].concat()), Twice { field: "graph" }),
        ("two versions", last(&int(1, 10)), Twice { field: "ir_version" }),
        ("graphs in graphs without end", graph(&[graphs_in_graphs(40)]), TooDeep { limit: 100 }),
        ("a name that is long", graph(&[field(2, &text)]), TooLong { field: "name", limit: MAX_NAME_BYTES }),
        (
            "an operator's name that is long",
            graph(&[field(1, field(4, &text))]),
            TooLong { field: "op_type", limit: MAX_NAME_BYTES },
        ),
        ("a name that is no text", graph(&[field(2, [0xff])]), NotText { field: "name" }),
        (
            "a type of values to come",
            graph(&[field(11, field(2, field(1, int(1, 29))))]),
            OnnxDefect::DataType { found: 29 },
        ),
    ];
    for (name, bytes, wanted) in cases {
        assert_eq!(defect(&bytes), Some(wanted), "{name}");
    }
    let long = [model(&[]), key(6, 2), varint(MAX_TEXT_BYTES + 1), vec![b' '; MAX_TEXT_BYTES as usize + 1]].concat();
    assert_eq!(defect(&long), Some(TooLong { field: "doc_string", limit: MAX_TEXT_BYTES }));
}

#[test]
fn a_tensor_that_is_not_what_it_says_is_refused_by_its_defect() {
    use OnnxDefect::{Data, DataType, Dimensions, Length, TooMany};
    let raw = |found, wanted| Length { field: "raw_data", found, wanted };
    let dimensions = vec![1; 65];
    let data = |problem| Data { problem };
    let cases = [
        ("a byte too few", tensor(&floats(&[5, 5], 99)), raw(99, 100)),
        ("a byte too many", tensor(&floats(&[5, 5], 101)), raw(101, 100)),
        ("bytes for no values", tensor(&floats(&[0, 5], 4)), raw(4, 0)),
        ("more values than bytes can be counted", tensor(&floats(&[1 << 62], 4)), Dimensions),
        ("dimensions whose product is beyond 64 bits", tensor(&floats(&[1 << 40, 1 << 40], 4)), Dimensions),
        ("a negative dimension", tensor(&floats(&[u64::MAX], 4)), Dimensions),
        ("many dimensions", tensor(&floats(&dimensions, 4)), TooMany { what: "dimensions", limit: 64 }),
        (
            "many dimensions, packed",
            tensor(&[field(1, vec![1; 65]), int(2, 1)]),
            TooMany { what: "dimensions", limit: 64 },
        ),
        ("no data type", tensor(&[int(1, 1), field(9, [0; 4])]), DataType { found: 0 }),
        ("a data type to come", tensor(&[int(1, 1), int(2, 29)]), DataType { found: 29 }),
        ("no data", tensor(&[int(1, 1), int(2, 1)]), data("no data")),
        ("data twice", tensor(&[floats(&[1], 4).concat(), field(4, [0; 4])]), data("data in two fields")),
        (
            "floats where numbers should be",
            tensor(&[int(1, 1), int(2, 7), field(4, [0; 4])]),
            data("its data in the field of another data type"),
        ),
        ("texts in raw_data", tensor(&[int(1, 1), int(2, 8), field(9, "a")]), data("texts in raw_data")),
        (
            "a text too many",
            tensor(&[int(1, 1), int(2, 8), field(6, "a"), field(6, "b")]),
            Length { field: "string_data", found: 2, wanted: 1 },
        ),
        (
            "a number too few",
            tensor(&[int(1, 3), int(2, 6), field(5, [1, 2])]),
            Length { field: "int32_data", found: 2, wanted: 3 },
        ),
        (
            "half of a complex value",
            tensor(&[int(1, 1), int(2, 15), field(10, [0; 8])]),
            Length { field: "double_data", found: 1, wanted: 2 },
        ),
        (
            "a place that is not known",
            tensor(&[floats(&[1], 4).concat(), int(14, 2)]),
            data("a data_location that this version does not know"),
        ),
        ("a tensor in a node", graph(&[field(1, field(5, field(5, floats(&[2], 4).concat())))]), raw(4, 8)),
        ("a tensor in a sparse one", graph(&[field(15, field(2, floats(&[2], 4).concat()))]), raw(4, 8)),
        (
            "a tensor in a function",
            model(&[field(25, field(7, field(5, field(10, floats(&[2], 4).concat()))))]),
            raw(4, 8),
        ),
    ];
    for (name, bytes, wanted) in cases {
        assert_eq!(defect(&bytes), Some(wanted), "{name}");
    }
}

#[test]
fn a_tensor_that_lies_outside_the_model_is_refused_by_its_defect() {
    use OnnxDefect::{External, Length, Location, NoSuchFile, OutsideFile};
    let outside = |offset| OutsideFile { location: "weights/a".into(), offset, wanted: 100, len: 100 };
    for path in [
        "",
        ".",
        "..",
        "../a",
        "a/../../b",
        "weights/../a",
        "./a",
        "/etc/passwd",
        "weights//a",
        "file:///etc/passwd",
        "https://example.com/a",
        "C:a",
        "..\\a",
        "a\0",
        "a\nb",
        "*/_ORT_MEM_ADDR_/*",
    ] {
        let shown = path.replace(char::is_control, "\u{fffd}");
        assert_eq!(defect(&external(&[("location", path)])), Some(Location { location: shown }), "{path:?}");
    }
    let long = "x/".repeat(600);
    let found = check(&external(&[("location", &long)])).expect_err("refused");
    assert!(matches!(found.defect, Location { .. }) && found.to_string().len() < 300, "{found}");

    let located = |more: &[(&str, &str)]| external(&[&[("location", "weights/a")], more].concat());
    let data = |problem| OnnxDefect::Data { problem };
    let entry = |name, value| field(13, [field(1, name), field(2, value)].concat());
    let there = entry("location", "weights/a");
    let cases = [
        (
            "a file that is not there",
            external(&[("location", "weights/b")]),
            NoSuchFile { location: "weights/b".into() },
        ),
        ("no location", external(&[("offset", "0")]), External { problem: "has no location" }),
        ("two locations", located(&[("location", "weights/a")]), External { problem: "says the same thing twice" }),
        (
            "two offsets",
            located(&[("offset", "0"), ("offset", "0")]),
            External { problem: "says the same thing twice" },
        ),
        ("an offset beyond", located(&[("offset", "1")]), outside(1)),
        ("an offset beyond 63 bits", located(&[("offset", "18446744073709551615")]), outside(u64::MAX)),
        (
            "an offset beyond 64 bits",
            located(&[("offset", "18446744073709551616")]),
            External { problem: "has an offset that is no number" },
        ),
        ("an offset before", located(&[("offset", "-1")]), External { problem: "has an offset that is no number" }),
        ("an offset of nothing", located(&[("offset", "")]), External { problem: "has an offset that is no number" }),
        (
            "a length with a sign",
            located(&[("length", "+100")]),
            External { problem: "has a length that is no number" },
        ),
        ("a length too short", located(&[("length", "96")]), Length { field: "external_data", found: 96, wanted: 100 }),
        (
            "a length too long",
            located(&[("length", "104")]),
            Length { field: "external_data", found: 104, wanted: 100 },
        ),
        (
            "the rest of a file, too long",
            tensor(&[int(1, 5), int(2, 1), there.clone(), int(14, 1)]),
            Length { field: "external_data", found: 100, wanted: 20 },
        ),
        (
            "a base to resolve from",
            located(&[("basepath", "/etc")]),
            External { problem: "has a key beside location, offset, length and checksum" },
        ),
        (
            "data here and outside",
            tensor(&[floats(&[1], 4).concat(), there.clone(), int(14, 1)]),
            data("data both in the file and outside"),
        ),
        (
            "outside, though said to be here",
            tensor(&[floats(&[1], 4).concat(), there.clone()]),
            data("external_data, and its data_location says that it has none"),
        ),
        ("texts outside", tensor(&[int(1, 100), int(2, 8), there, int(14, 1)]), data("texts outside the file")),
    ];
    for (name, bytes, wanted) in cases {
        assert_eq!(defect(&bytes), Some(wanted), "{name}");
    }
}

#[test]
fn more_than_a_reader_should_hold_is_refused() {
    let nodes = [[0x0a, 0]; super::MAX_NODES as usize + 1].concat();
    assert_eq!(defect(&graph(&[nodes])), Some(OnnxDefect::TooMany { what: "nodes", limit: super::MAX_NODES }));
}

proptest! {
    /// What follows the file's end does not count, and nothing panics wherever it is cut or changed.
    #[test]
    fn only_the_file_is_read_wherever_it_is_cut_or_changed(
        beside: bool,
        cut in 0_usize..4096,
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = if beside { BESIDE } else { INSIDE }.to_vec();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let cut = cut.min(bytes.len());
        let alone = check(&bytes[..cut]);
        prop_assert_eq!(&check_onnx(Cursor::new(&bytes), cut as u64, &length_of), &alone);
        if let Err(error) = alone {
            prop_assert!(error.at <= cut as u64 && error.to_string().len() < 1_000, "{error}");
        }
    }

    #[test]
    fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = check(&graph(&[bytes]));
    }
}
