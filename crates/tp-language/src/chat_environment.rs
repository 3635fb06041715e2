//! The Jinja that chat templates are written for: what transformers puts around them, beyond the
//! language itself.
//!
//! Source: `transformers.utils.chat_template_utils` of transformers 5.24.

use std::{io, sync::Arc, time::SystemTime};

use minijinja::{
    Environment, Error, ErrorKind, State, Value,
    syntax::SyntaxConfig,
    value::{Enumerator, Kwargs, Object, Tuple, from_args},
};
use minijinja_contrib::{
    globals::{cycler, joiner},
    pycompat::unknown_method_callback,
};
use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter};

use crate::{
    Speaker,
    civil_time::strftime,
    template_source::{DICTIONARY, dictionary},
};

/// Steps that a template may take beside those that long texts cost: ten times what the longest
/// known templates need.
const FUEL: u64 = 200_000;
/// More steps for each byte of text: a template may search what was said some dozens of times.
const FUEL_PER_BYTE: u64 = 64;

/// An environment for one rendering over texts of so many bytes; `now` is what a template's clock
/// says.
pub(crate) fn chat_environment(
    now: SystemTime,
    text_bytes: usize,
) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL + FUEL_PER_BYTE * text_bytes as u64));
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_unknown_method_callback(python_method);
    environment.add_function("raise_exception", |reason: String| -> Result<(), Error> {
        Err(Error::new(ErrorKind::InvalidOperation, reason))
    });
    environment.add_function("strftime_now", move |format: String| strftime(now, &format));
    environment.add_function("cycler", cycler);
    environment.add_function("joiner", joiner);
    environment.add_function(DICTIONARY, dictionary);
    environment.add_filter("tojson", tojson);
    environment.add_filter("title", title_filter);
    environment.add_filter("escape", escape);
    environment.add_filter("e", escape);
    environment.add_filter("int", int);
    Ok(environment)
}

/// What a template sees of a turn: a dictionary in this order.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) speaker: Speaker,
    pub(crate) text: String,
}

impl Object for Message {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "role" => Some(Value::from(self.speaker.role())),
            "content" => Some(Value::from(&self.text[..])),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["role", "content"])
    }
}

/// Methods of Python's strings that templates call; most are the library's.
fn python_method(
    state: &mut State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let Some(text) = value.as_str() else {
        return unknown_method_callback(state, value, method, args);
    };
    let parts = |before: &str, separator: &str, after: &str| {
        Value::from(Tuple::from([before, separator, after].map(Value::from).to_vec()))
    };
    match method {
        "title" => {
            let () = from_args(args)?;
            Ok(Value::from(title(text)))
        }
        "swapcase" => {
            let () = from_args(args)?;
            let swapped = |c: char| {
                if c.is_uppercase() {
                    c.to_lowercase().to_string()
                } else {
                    c.to_uppercase().to_string()
                }
            };
            Ok(Value::from(text.chars().map(swapped).collect::<String>()))
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Ok(Value::from(text.strip_prefix(prefix).unwrap_or(text)))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Ok(Value::from(text.strip_suffix(suffix).unwrap_or(text)))
        }
        "partition" => {
            let (separator,): (&str,) = from_args(args)?;
            Ok(match text.split_once(separator) {
                Some((before, after)) => parts(before, separator, after),
                None => parts(text, "", ""),
            })
        }
        "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            Ok(match text.rsplit_once(separator) {
                Some((before, after)) => parts(before, separator, after),
                None => parts("", "", text),
            })
        }
        "rsplit" => {
            let (separator, times): (&str, Option<i64>) = from_args(args)?;
            let times = times.and_then(|times| usize::try_from(times).ok());
            let pieces = times.map_or(usize::MAX, |times| times.saturating_add(1));
            let mut pieces: Vec<Value> = text.rsplitn(pieces, separator).map(Value::from).collect();
            pieces.reverse();
            Ok(Value::from(pieces))
        }
        "index" => {
            let (part,): (&str,) = from_args(args)?;
            match text.find(part) {
                Some(at) => Ok(Value::from(text[..at].chars().count())),
                None => Err(Error::new(ErrorKind::InvalidOperation, "substring not found")),
            }
        }
        _ => unknown_method_callback(state, value, method, args),
    }
}

/// Python's method: a letter is large unless another stands before it.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        in_word = c.is_lowercase() || c.is_uppercase();
    }
    out
}

/// Jinja's filter: a word begins behind white space, a hyphen or an opening bracket.
fn title_filter(text: String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        in_word = !(c.is_whitespace() || "-({[<".contains(c));
    }
    out
}

/// As MarkupSafe writes it.
fn escape(text: String) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\'', "&#39;")
        .replace('"', "&#34;")
}

/// What is no number becomes `default`.
fn int(value: &Value, default: Option<i64>) -> i64 {
    let text = value.to_string();
    let text = text.trim();
    let whole = text.parse::<i64>().ok();
    let number = || text.parse::<f64>().ok().filter(|x| x.is_finite()).map(|x| x as i64);
    let truth = || bool::try_from(value.clone()).ok().map(i64::from);
    whole.or_else(number).or_else(truth).unwrap_or(default.unwrap_or(0))
}

/// `json.dumps(value, ensure_ascii, indent, separators, sort_keys)`, as the filter of transformers
/// has it: nothing is escaped for HTML.
fn tojson(value: &Value, ensure_ascii: Option<bool>, options: Kwargs) -> Result<String, Error> {
    let cannot = |error: serde_json::Error| {
        Error::new(ErrorKind::InvalidOperation, format!("no JSON can be made of it: {error}"))
    };
    let ensure_ascii = match ensure_ascii {
        Some(given) => given,
        None => options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
    };
    let indent = match options.get::<Option<Value>>("indent")?.filter(|indent| !indent.is_none()) {
        None => None,
        Some(indent) => match indent.as_str() {
            Some(indent) => Some(indent.to_owned()),
            None => Some(" ".repeat(usize::try_from(indent)?.min(64))),
        },
    };
    let separators = options.get::<Option<Vec<String>>>("separators")?;
    let is_sorted = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    options.assert_all_used()?;
    let [item, key] = match separators.as_deref() {
        Some([item, key]) => [item.clone(), key.clone()],
        Some(_) => {
            let reason = "separators are two: between items, and after a key";
            return Err(Error::new(ErrorKind::InvalidOperation, reason));
        }
        None if indent.is_some() => [",".to_owned(), ": ".to_owned()],
        None => [", ".to_owned(), ": ".to_owned()],
    };
    let mut out = Vec::new();
    let dumps = Dumps { ensure_ascii, indent, item, key, depth: 0, is_empty: true };
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, dumps);
    if is_sorted {
        let sorted = serde_json::to_value(value).map_err(cannot)?; // its maps are sorted
        sorted.serialize(&mut serializer).map_err(cannot)?;
    } else {
        value.serialize(&mut serializer).map_err(cannot)?;
    }
    String::from_utf8(out)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

/// How Python's `json.dumps` spaces what it writes.
struct Dumps {
    ensure_ascii: bool,
    indent: Option<String>,
    item: String,
    key: String,
    depth: usize,
    is_empty: bool,
}

impl Dumps {
    fn new_line<W: ?Sized + io::Write>(&self, out: &mut W) -> io::Result<()> {
        let Some(indent) = &self.indent else { return Ok(()) };
        out.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| out.write_all(indent.as_bytes()))
    }

    fn open<W: ?Sized + io::Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        (self.depth, self.is_empty) = (self.depth + 1, true);
        out.write_all(bracket)
    }

    fn before<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.is_empty = false;
        if !first {
            out.write_all(self.item.as_bytes())?;
        }
        self.new_line(out)
    }

    fn close<W: ?Sized + io::Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if !self.is_empty {
            self.new_line(out)?;
        }
        self.is_empty = false; // what holds it holds something
        out.write_all(bracket)
    }
}

impl Formatter for Dumps {
    fn begin_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.before(out, first)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"{")
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.before(out, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(self.key.as_bytes())
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if !self.ensure_ascii {
            return out.write_all(fragment.as_bytes());
        }
        let mut units = [0; 2];
        fragment.chars().try_for_each(|c| match c {
            ' '..='~' => out.write_all(&[c as u8]),
            _ => {
                c.encode_utf16(&mut units).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))
            }
        })
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::Quote => out.write_all(b"\\\""),
            CharEscape::ReverseSolidus => out.write_all(b"\\\\"),
            CharEscape::Solidus => out.write_all(b"/"),
            CharEscape::Backspace => out.write_all(b"\\b"),
            CharEscape::FormFeed => out.write_all(b"\\f"),
            CharEscape::LineFeed => out.write_all(b"\\n"),
            CharEscape::CarriageReturn => out.write_all(b"\\r"),
            CharEscape::Tab => out.write_all(b"\\t"),
            CharEscape::AsciiControl(byte) => write!(out, "\\u{byte:04x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use minijinja::context;

    use super::*;
    use crate::template_source::prepared;

    fn rendered(template: &str) -> String {
        let now = UNIX_EPOCH + Duration::from_secs(1_720_000_000);
        let environment = chat_environment(now, 0).unwrap();
        let message = Message { speaker: Speaker::User, text: "<é> \"".to_owned() };
        let values = context! { message => Value::from_object(message), nothing => () };
        environment.render_str(&prepared(template), values).unwrap()
    }

    /// Every line is what `apply_chat_template` of transformers 5.24 gives.
    #[test]
    fn templates_are_rendered_as_transformers_renders_them() {
        for (template, expected) in [
            ("{{ message | tojson }}", r#"{"role": "user", "content": "<é> \""}"#),
            (
                "{{ message | tojson(ensure_ascii=True) }}",
                r#"{"role": "user", "content": "<\u00e9> \""}"#,
            ),
            (
                "{{ [message, [], {}] | tojson(indent=2) }}",
                "[\n  {\n    \"role\": \"user\",\n    \"content\": \"<é> \\\"\"\n  },\n  [],\n  {}\n]",
            ),
            ("{{ [1, none, 'a'] | tojson(separators=[',', ':']) }}", r#"[1,null,"a"]"#),
            ("{{ message | tojson(sort_keys=true) }}", r#"{"content": "<é> \"", "role": "user"}"#),
            (
                "{% set d = {'b': 1, 'a': {}, 'b': 'x:y'} %}{{ d | tojson }}{{ d }}{{ d.a }}{{ d['b'] }}{{ 'a' in d }}",
                "{\"b\": \"x:y\", \"a\": {}}{'b': 'x:y', 'a': {}}{}x:yTrue",
            ),
            ("{{ strftime_now('%d %b %Y') }}", "03 Jul 2024"),
            ("a\r\n{%- generation -%}\r\n b {% endgeneration %}\rc", "ab c"),
            ("{%generation%}\n{% set x = 1 %}{{ x }}\n  {% endgeneration %}\n{{ x }}", "1\n"),
            (
                "{{ nothing is none }} {{ nothing is defined }} {{ absent is defined }}",
                "True True False",
            ),
            ("{{ 'a-b-c'.partition('-')[2] }} {{ 'a-b-c'.rsplit('-', 1)[0] }}", "b-c a-b"),
            (
                "{{ \"[x] it's a-b\".title() }} {{ \"[x] it's a-b\" | title }}",
                "[X] It'S A-B [X] It's A-B",
            ),
            (
                "{{ '<a \"b\"> & \\'c\\'' | e }} {{ 'x' | int }} {{ '12.7' | int }}",
                "&lt;a &#34;b&#34;&gt; &amp; &#39;c&#39; 0 12",
            ),
            ("{{ 'a b'.partition(' ') }} {{ 'aB'.swapcase() }}", "('a', ' ', 'b') Ab"),
            ("{{ 'abc'.removeprefix('a').removesuffix('c') }} {{ 'abc'.index('c') }}", "b 2"),
            (
                "{% for k, v in message.items() %}{{ k }}={{ v }};{% endfor %}",
                "role=user;content=<é> \";",
            ),
            (
                "{{ message.content[0] }}{{ message['content'][-1] }}{{ message.content[::-1] }}",
                "<\"\" >é<",
            ),
            (
                "{% for x in [1, 2, 3] %}{% if x == 2 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
                "13",
            ),
            ("{{ 'a\\n' }}|\n", "a\n|"),
        ] {
            assert_eq!(rendered(template), expected, "{template}");
        }
    }
}
