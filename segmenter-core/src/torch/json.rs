//! Python's values as JSON.

use crate::pickle::Value;
use serde_json::{Number, Value as Json};

/// A Python value as JSON, for what people put into hyper-parameters.
///
/// Tuples and sets become arrays, and dictionaries of any kind objects. What JSON does not have
/// becomes a string that says what it is: `"inf"` or `"functools.partial(…)"`. So do keys that are
/// no strings.
#[must_use]
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::None => Json::Null,
        Value::Bool(bool) => Json::Bool(*bool),
        Value::Int(number) => Json::Number((*number).into()),
        Value::Float(number) => {
            Number::from_f64(*number).map_or_else(|| Json::String(value.to_string()), Json::Number)
        }
        Value::Str(text) => Json::String(text.as_ref().to_owned()),
        Value::List(items) | Value::Tuple(items) | Value::Set(items) => {
            Json::Array(items.iter().map(to_json).collect())
        }
        Value::Dict(entries) => object(entries),
        Value::Object(_) => match value.as_call("collections", "OrderedDict") {
            Some(ordered) => object(&ordered.entries),
            None => Json::String(value.to_string()),
        },
        other => Json::String(other.to_string()),
    }
}

fn object(entries: &[(Value, Value)]) -> Json {
    let entries = entries.iter().map(|(key, value)| {
        let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
        (key, to_json(value))
    });
    Json::Object(entries.collect())
}
