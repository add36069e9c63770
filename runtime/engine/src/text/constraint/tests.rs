//! Whatever a model wants to say, what it says is a document of the schema.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::load::{LoadOptions, load_text};
use crate::text::TextModel;
use crate::tiny::tiny_files;

fn tiny() -> &'static TextModel {
    static TINY: LazyLock<TextModel> =
        LazyLock::new(|| load_text(&tiny_files(0).unwrap(), &LoadOptions::default()).unwrap());
    &TINY
}

fn compile(schema: &Value) -> Result<Constraint, ConstraintError> {
    tiny().constraint(schema.as_object().unwrap())
}

/// Draws allowed tokens by `choice` until the document is whole.
fn drawn(constraint: &mut Constraint, mut choice: impl FnMut(usize) -> usize) -> String {
    let mut tokens = Vec::new();
    for _ in 0..2000 {
        let allowed: Vec<u32> = constraint.allowed().unwrap().iter().collect();
        let token = allowed[choice(allowed.len()) % allowed.len()];
        if tiny().ends_turn(token) {
            break;
        }
        assert!(!tiny().is_special(token));
        tokens.push(token);
        if constraint.accept(token).unwrap() {
            break;
        }
    }
    tiny().decode(&tokens)
}

fn bounded() -> Value {
    json!({
        "type": "object",
        "properties": {
            "kind": { "enum": ["deposit", "withdrawal"] },
            "amount": { "type": "integer", "minimum": 1, "maximum": 5000 },
            "note": { "type": "string", "maxLength": 8 },
            "tags": { "type": "array", "items": { "type": "boolean" }, "maxItems": 3 },
        },
        "required": ["kind", "amount", "note", "tags"],
        "additionalProperties": false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_draw_is_a_document_of_the_schema(seed in any::<u64>()) {
        let mut random = crate::engine::SplitMix64(seed);
        let text = drawn(&mut compile(&bounded()).unwrap(), |_| (random.next() >> 33) as usize);
        let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        prop_assert!(["deposit", "withdrawal"].contains(&document["kind"].as_str().unwrap()));
        prop_assert!((1..=5000).contains(&document["amount"].as_i64().unwrap()));
        prop_assert!(document["note"].as_str().unwrap().chars().count() <= 8);
        let tags = document["tags"].as_array().unwrap();
        prop_assert!(tags.len() <= 3 && tags.iter().all(Value::is_boolean));
        prop_assert_eq!(document.as_object().unwrap().len(), 4);
    }
}

#[test]
fn a_copy_goes_its_own_way() {
    let mut first = compile(&json!({ "enum": ["a", "b"] })).unwrap();
    let mut second = first.clone();
    assert_eq!(drawn(&mut first, |_| 0), drawn(&mut second, |_| 0));
}

#[test]
fn white_space_ends() {
    // Whoever would write white space for ever must come to the point.
    let space = |_: usize| 0;
    let mut constraint = compile(&json!({ "type": "object", "additionalProperties": false })).unwrap();
    let newline = tiny().encode("\n").unwrap()[0];
    constraint.accept(tiny().encode("{").unwrap()[0]).unwrap();
    let mut count = 0;
    while constraint.allowed().unwrap().is_allowed(newline) {
        constraint.accept(newline).unwrap();
        count += 1;
    }
    assert_eq!(count, 64);
    assert_eq!(drawn(&mut constraint, space), "}");
}

#[test]
fn schemas_that_are_none_are_refused_with_the_reason() {
    for schema in [
        json!({ "type": "nothing" }),
        json!({ "type": "string", "pattern": "(" }),
        json!({ "$ref": "#/no/such/place" }),
        json!({ "$ref": "https://example.com/schema.json" }),
        json!({ "type": "integer", "minimum": 5, "maximum": 4 }),
        json!({ "if": {}, "then": {} }),
    ] {
        let error = compile(&schema).err().unwrap_or_else(|| panic!("{schema} was taken"));
        let ConstraintError::Schema { reason } = error else { panic!("{schema}: {error}") };
        assert!(!reason.is_empty() && reason.chars().count() <= QUOTED, "{schema}: {reason}");
    }
}

#[test]
fn schemas_that_cost_too_much_are_refused() {
    let large = json!({ "enum": ["x".repeat(SCHEMA_BYTES)] });
    assert!(matches!(compile(&large), Err(ConstraintError::TooLarge { .. })));
    // Small texts with large meanings.
    let mut doubled = json!({ "type": "string", "pattern": "^(a|b|c|d){1,3}x?y?z?$" });
    for _ in 0..12 {
        doubled = json!({ "type": "array", "items": [doubled.clone(), doubled], "minItems": 2 });
        if doubled.to_string().len() > SCHEMA_BYTES / 4 {
            break;
        }
    }
    let hostile = [
        doubled,
        json!({ "type": "string", "pattern": "^((a{1,300}){1,300}){1,300}$" }),
        json!({ "type": "string", "minLength": 1_000_000_000, "maxLength": 2_000_000_000 }),
        json!({ "type": "array", "items": { "type": "null" }, "minItems": 1_000_000_000 }),
        json!({ "type": "string", "pattern": "^(.*a.{20}|.*b.{20}|.*c.{20})$" }),
        // Every alternative of one with every one of the others.
        json!({ "allOf": (0..8).map(|one| json!({ "anyOf": (0..10).map(|other| json!({
            "properties": { format!("p{one}"): { "const": other } } })).collect::<Vec<_>>() })).collect::<Vec<_>>() }),
        json!({ "allOf": (0..12).map(|one| json!({ "oneOf": (0..10).map(|other| json!({
            "type": "string", "pattern": format!("^[a-{}]*{one}", char::from(b'b' + other)) })).collect::<Vec<_>>() }))
            .collect::<Vec<_>>() }),
    ];
    for schema in hostile {
        let start = std::time::Instant::now();
        // Refused, or cheap to use; never endless.
        if let Ok(mut constraint) = compile(&schema) {
            let _ = constraint.allowed();
        }
        assert!(start.elapsed().as_secs() < 20, "{schema}");
    }
}

#[test]
fn deep_schemas_do_not_end_the_thread() {
    let mut deep = json!({ "type": "null" });
    for _ in 0..120 {
        deep = json!({ "anyOf": [{ "type": "array", "items": deep }] });
    }
    let _ = compile(&deep).map(|mut constraint| constraint.allowed().is_ok());
}
