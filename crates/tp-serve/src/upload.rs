//! The body of a request as fields: JSON, or a multipart form, whose texts are read as the values of
//! the same JSON.

use axum::{
    body::Bytes,
    http::{HeaderMap, Request, header},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http_body_util::{BodyDataStream, Full};
use multer::Multipart;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::{
    app::App,
    body_reader::read_body,
    memory::Reserved,
    problem::{Problem, ProblemKind},
};

/// A form has fewer fields.
const MAX_FIELDS: usize = 32;
/// A JSON text has fewer values.
const MAX_VALUES: usize = 200_000;
/// Fields of forms whose text is not JSON.
const TEXT_FIELDS: [&str; 2] = ["model", "image_hash"];

/// The fields of a request, and the file of the image if it was sent.
pub(crate) struct Upload<T> {
    pub(crate) fields: T,
    pub(crate) image: Option<Bytes>,
    /// The memory that the image takes.
    pub(crate) memory: Reserved,
}

/// Reads a request.
///
/// # Errors
///
/// A problem that says what was expected.
pub(crate) async fn read_upload<T: DeserializeOwned + Send + 'static>(
    app: &App,
    request: Request<axum::body::Body>,
    deadline: Instant,
) -> Result<Upload<T>, Problem> {
    let (head, body) = request.into_parts();
    let kind = BodyKind::of(&head.headers)?;
    let mut memory = app.memory.reserve();
    let limit = app.config.max_body_bytes;
    let bytes = read_body(&head.headers, body, limit, deadline, &mut memory).await?;
    match kind {
        BodyKind::Json => {
            let parse = move || -> Result<Upload<T>, Problem> {
                let fields = parse_json(&bytes)?;
                let n_bytes = bytes.len();
                drop(bytes);
                let upload = from_json(fields, &mut memory)?;
                // What remains of the body is the file.
                memory.shrink(n_bytes);
                Ok(Upload { fields: upload.0, image: upload.1, memory })
            };
            crate::app::blocking(parse).await?
        }
        BodyKind::Form { boundary } => {
            let (fields, image) = read_form(bytes, boundary).await?;
            // The document has these values as texts, which may say anything.
            let fields = typed(fields).map_err(|problem| problem.of_kind(ProblemKind::Unusable))?;
            Ok(Upload { fields, image, memory })
        }
    }
}

/// Reads a body of JSON alone, as a value of a type.
///
/// # Errors
///
/// A problem that says what was expected.
pub(crate) async fn read_json<T: DeserializeOwned + Send + 'static>(
    app: &App,
    request: Request<axum::body::Body>,
    deadline: Instant,
) -> Result<(T, Reserved), Problem> {
    let (head, body) = request.into_parts();
    if !matches!(BodyKind::of(&head.headers)?, BodyKind::Json) {
        return Err(unsupported("application/json is accepted here"));
    }
    let mut memory = app.memory.reserve();
    let limit = app.config.max_body_bytes;
    let bytes = read_body(&head.headers, body, limit, deadline, &mut memory).await?;
    let value = crate::app::blocking(move || typed(parse_json(&bytes)?)).await??;
    Ok((value, memory))
}

enum BodyKind {
    Json,
    Form { boundary: String },
}

impl BodyKind {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let value = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/json") {
            return Ok(Self::Json);
        }
        if essence.eq_ignore_ascii_case("multipart/form-data") {
            let boundary = multer::parse_boundary(value)
                .map_err(|_| Problem::bad_request("the multipart form has no boundary"))?;
            return Ok(Self::Form { boundary });
        }
        Err(unsupported("send application/json or multipart/form-data"))
    }
}

fn unsupported(detail: &str) -> Problem {
    Problem::new(ProblemKind::UnsupportedMediaType, detail)
}

/// An object. An array is none, though Rust's structs could be read from it.
fn parse_json(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    check_n_values(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| {
        Problem::bad_request(format!("the body is not the expected JSON: {error}"))
    })
}

/// Whether a JSON text has few enough values: in memory each takes many times its bytes.
fn check_n_values(json: &[u8]) -> Result<(), Problem> {
    let (mut n_values, mut is_string, mut is_escaped) = (0_usize, false, false);
    for &byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_string,
            b'"' => is_string = !is_string,
            b',' | b'[' | b'{' if !is_string => n_values += 1,
            _ => {}
        }
    }
    if n_values > MAX_VALUES {
        return Err(Problem::new(
            ProblemKind::TooLarge,
            format!("the JSON has {n_values} values, at most {MAX_VALUES} are accepted"),
        ));
    }
    Ok(())
}

fn typed<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Problem> {
    serde_json::from_value(with_whole_numbers(Value::Object(fields)))
        .map_err(|error| Problem::bad_request(format!("the request is not as expected: {error}")))
}

/// The same JSON with 5 in place of 5.0: in a JSON Schema both are integers.
fn with_whole_numbers(json: Value) -> Value {
    /// Every whole number below is exact in 64 bits.
    const END: f64 = 9_007_199_254_740_992.0;
    match json {
        Value::Number(number) => match number.as_f64() {
            Some(value) if number.is_f64() && value.fract() == 0.0 && value.abs() < END => {
                (value as i64).into()
            }
            _ => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(with_whole_numbers).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, with_whole_numbers(value))).collect()
        }
        other => other,
    }
}

/// The fields of a JSON object, and its image.
fn from_json<T: DeserializeOwned>(
    mut fields: Map<String, Value>,
    memory: &mut Reserved,
) -> Result<(T, Option<Bytes>), Problem> {
    let image = match fields.remove("image") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(decode_file(&text, memory)?),
        Some(_) => {
            return Err(Problem::bad_request("`image` must be a file in base64, or a data: URL"));
        }
    };
    Ok((typed(fields)?, image))
}

/// The bytes of a file in base64, alone or in a data: URL.
///
/// # Errors
///
/// A problem if it is neither, or there is not enough memory.
pub(crate) fn decode_file(text: &str, memory: &mut Reserved) -> Result<Bytes, Problem> {
    let base64 = match text.strip_prefix("data:") {
        None => text,
        Some(url) => url
            .split_once(',')
            .filter(|(kind, _)| kind.ends_with(";base64"))
            .map(|(_, base64)| base64)
            .ok_or_else(|| Problem::unusable("a data: URL of an image ends in `;base64,…`"))?,
    };
    memory.grow(base64.len() / 4 * 3 + 3)?;
    let bytes = STANDARD
        .decode(base64.trim())
        .map_err(|error| Problem::unusable(format!("the image is not valid base64: {error}")))?;
    Ok(bytes.into())
}

/// The fields of a form: each text as the JSON that it is, and the file `image`.
async fn read_form(
    bytes: Bytes,
    boundary: String,
) -> Result<(Map<String, Value>, Option<Bytes>), Problem> {
    let unusable = |error: multer::Error| {
        Problem::bad_request(format!("the multipart form is unusable: {error}"))
    };
    let mut form = Multipart::new(BodyDataStream::new(Full::new(bytes)), boundary);
    let (mut fields, mut image) = (Map::new(), None);
    for n in 0.. {
        let Some(field) = form.next_field().await.map_err(unusable)? else { break };
        let name = field.name().unwrap_or_default().to_owned();
        let content = field.bytes().await.map_err(unusable)?;
        if n == MAX_FIELDS || fields.contains_key(&name) || (name == "image" && image.is_some()) {
            return Err(Problem::bad_request(format!(
                "the form has `{name}` twice, or too many fields"
            )));
        }
        if name == "image" {
            image = Some(content);
            continue;
        }
        let text = std::str::from_utf8(&content)
            .map_err(|_| Problem::bad_request(format!("`{name}` is not UTF-8")))?;
        let value = if TEXT_FIELDS.contains(&name.as_str()) {
            Value::String(text.to_owned())
        } else {
            check_n_values(&content)?;
            serde_json::from_str(text)
                .map_err(|error| Problem::unusable(format!("`{name}` is not JSON: {error}")))?
        };
        // As in JSON, null is the value of what is not said.
        if !value.is_null() {
            fields.insert(name, value);
        }
    }
    Ok((fields, image))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_strings() {
        let array = |text: &str| format!("[{}]", vec![text; MAX_VALUES].join(","));
        assert!(check_n_values(array("0").as_bytes()).is_ok());
        assert!(check_n_values(array("[0]").as_bytes()).is_err());
        let string = format!("{{\"image\": \"{}\"}}", ",[{\\\"".repeat(MAX_VALUES));
        assert!(check_n_values(string.as_bytes()).is_ok());
        assert!(check_n_values("[".repeat(MAX_VALUES + 1).as_bytes()).is_err());
    }
}
