//! The rotation's settings as transformers 5 writes them: one object, `rope_parameters`, or one in it for each kind of
//! layer. Here they get the names that they had before, which is what families read.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use crate::error::EngineError;

/// The only family whose kinds of layers have settings of their own.
const BY_KIND: &str = "gemma3_text";

/// The same `config.json` by the older names.
pub(super) fn by_older_names(json: &Json) -> Result<Cow<'_, Json>, EngineError> {
    let Some(parameters) = json.get("rope_parameters").filter(|found| !found.is_null()) else {
        return Ok(Cow::Borrowed(json));
    };
    let parameters = object(parameters)?;
    let mut older = json.clone();
    let by_kind = ["full_attention", "sliding_attention"].map(|kind| parameters.get(kind));
    let rotation = match by_kind {
        [None, None] => parameters,
        [Some(full), Some(window)] if json["model_type"] == BY_KIND => {
            let window = object(window)?;
            if !is_plain(window)? {
                return Err(EngineError::unsupported("rotation scaling", "of layers with a window"));
            }
            set(&mut older, "rope_local_base_freq", window.get("rope_theta"))?;
            object(full)?
        }
        _ => return Err(EngineError::unsupported("the rotation's settings", "rope_parameters by kinds of layers")),
    };
    if rotation.get("partial_rotary_factor").is_some_and(|share| share.as_f64() != Some(1.0)) {
        return Err(EngineError::unsupported("the rotation of a part of each head", "partial_rotary_factor"));
    }
    set(&mut older, "rope_theta", rotation.get("rope_theta"))?;
    if !is_plain(rotation)? {
        set(&mut older, "rope_scaling", Some(&Json::Object(rotation.clone())))?;
    }
    Ok(Cow::Owned(older))
}

fn object(json: &Json) -> Result<&Map<String, Json>, EngineError> {
    json.as_object().ok_or_else(|| malformed("rope_parameters are no object"))
}

/// Whether frequencies are taken as they are.
fn is_plain(rotation: &Map<String, Json>) -> Result<bool, EngineError> {
    match rotation.get("rope_type").map(Json::as_str) {
        Some(Some(kind)) => Ok(kind == "default"),
        _ => Err(malformed("rope_parameters without a rope_type")),
    }
}

/// Gives a setting its older name. A file with both must say the same by both.
fn set(older: &mut Json, name: &'static str, value: Option<&Json>) -> Result<(), EngineError> {
    let value = value.ok_or_else(|| malformed(format!("rope_parameters without what was {name}")))?;
    match &older[name] {
        Json::Null => older[name] = value.clone(),
        found if found == value => {}
        found => return Err(malformed(format!("{name} is {found}, and {value} in rope_parameters"))),
    }
    Ok(())
}

fn malformed(reason: impl Into<String>) -> EngineError {
    EngineError::malformed("config.json", reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As transformers 5.24 writes Llama 3.1, Qwen 2 and Gemma 3.
    #[test]
    fn settings_get_their_older_names() {
        let llama3 = json!({ "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_theta": 500000.0, "rope_type": "llama3" });
        let older = by_older_names(&json!({ "rope_parameters": llama3 })).unwrap().into_owned();
        assert_eq!((&older["rope_theta"], &older["rope_scaling"]), (&json!(500000.0), &llama3));

        let plain = json!({ "rope_parameters": { "rope_theta": 10000.0, "rope_type": "default" } });
        let older = by_older_names(&plain).unwrap().into_owned();
        assert_eq!((&older["rope_theta"], &older["rope_scaling"]), (&json!(10000.0), &Json::Null));

        let gemma3 = json!({ "model_type": "gemma3_text", "rope_parameters": {
            "full_attention": { "factor": 8.0, "rope_theta": 1000000.0, "rope_type": "linear" },
            "sliding_attention": { "rope_theta": 10000.0, "rope_type": "default" } } });
        let older = by_older_names(&gemma3).unwrap().into_owned();
        assert_eq!(older["rope_local_base_freq"], json!(10000.0));
        assert_eq!((&older["rope_theta"], &older["rope_scaling"]["factor"]), (&json!(1000000.0), &json!(8.0)));

        let none = json!({ "rope_theta": 1.0, "rope_parameters": null });
        assert!(matches!(by_older_names(&none).unwrap(), Cow::Borrowed(_)));
    }

    #[test]
    fn settings_that_say_nothing_or_two_things_are_refused() {
        let plain = json!({ "rope_theta": 10000.0, "rope_type": "default" });
        for config in [
            json!({ "rope_parameters": 3 }),
            json!({ "rope_parameters": { "rope_theta": 10000.0 } }),
            json!({ "rope_parameters": { "rope_type": "default" } }),
            json!({ "rope_theta": 5000.0, "rope_parameters": plain }),
            json!({ "rope_parameters": { "rope_theta": 1.0, "rope_type": "default", "partial_rotary_factor": 0.75 } }),
            json!({ "model_type": "llama", "rope_parameters": { "full_attention": plain, "sliding_attention": plain } }),
            json!({ "model_type": "gemma3_text", "rope_parameters": { "full_attention": plain } }),
            json!({ "model_type": "gemma3_text", "rope_parameters": { "full_attention": plain,
                "sliding_attention": { "rope_theta": 1.0, "rope_type": "linear", "factor": 2.0 } } }),
        ] {
            assert!(by_older_names(&config).is_err(), "{config}");
        }
    }
}
