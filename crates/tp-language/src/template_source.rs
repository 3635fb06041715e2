//! A template's text, brought from the Jinja that transformers runs to the one that runs here.
//!
//! Line ends become `\n`. The blocks by which transformers finds what the assistant has said become
//! blocks that do nothing. Dictionaries in expressions keep the order in which they are written,
//! which their JSON shows.

use std::{collections::BTreeMap, sync::Arc};

use minijinja::{
    Value,
    value::{Enumerator, Object},
};

/// The function that a dictionary in an expression becomes a call of.
pub(crate) const DICTIONARY: &str = "dictionary_as_written";

/// The text as the environment here reads it.
pub(crate) fn prepared(template: &str) -> String {
    let template = template.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(template.len());
    let mut rest = &template[..];
    while let Some(at) = rest.find('{') {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let end = match tag.as_bytes().get(1) {
            Some(b'{') => expression(tag, "}}", &mut out),
            Some(b'%') => statement(tag, &mut out),
            Some(b'#') => tag.find("#}").map(|at| {
                out.push_str(&tag[..at + 2]);
                at + 2
            }),
            _ => {
                out.push('{');
                Some(1)
            }
        };
        // What does not end is refused by whoever reads it.
        let Some(end) = end else { return out + tag };
        rest = &tag[end..];
    }
    out + rest
}

/// Writes a block, and with `raw` everything to its end; how much of the text it was.
fn statement(tag: &str, out: &mut String) -> Option<usize> {
    let name = |tag: &str| -> Option<(String, usize)> {
        let end = tag.find("%}")?;
        Some((tag[2..end].trim_matches(['-', '+']).trim().to_owned(), end + 2))
    };
    let (word, end) = name(tag)?;
    match word.as_str() {
        "generation" | "endgeneration" => {
            let scope = if word == "generation" { "with" } else { "endwith" };
            out.push_str(&tag[..end].replace(&word, scope));
            Some(end)
        }
        "raw" => {
            let mut blocks = tag.match_indices("{%").map_while(|(at, _)| {
                let (word, end) = name(&tag[at..])?;
                Some((word, at + end))
            });
            let (_, end) = blocks.find(|(word, _)| word == "endraw")?;
            out.push_str(&tag[..end]);
            Some(end)
        }
        _ => expression(tag, "%}", out),
    }
}

/// Writes a tag with its dictionaries as calls; how much of the text it was, and nothing if it does
/// not end.
fn expression(tag: &str, close: &str, out: &mut String) -> Option<usize> {
    let mut written = tag[..2].to_owned();
    let mut open = Vec::new();
    let mut quote = None;
    let mut characters = tag.char_indices().skip(2);
    while let Some((at, c)) = characters.next() {
        if let Some(mark) = quote {
            written.push(c);
            if c == '\\' {
                written.extend(characters.next().map(|(_, c)| c));
            } else if c == mark {
                quote = None;
            }
            continue;
        }
        if open.is_empty() && tag[at..].starts_with(close) {
            out.push_str(&written);
            out.push_str(close);
            return Some(at + close.len());
        }
        if matches!(c, ')' | ']' | '}') && open.pop() == Some('{') {
            written.push_str("])");
            continue;
        }
        match c {
            '\'' | '"' => quote = Some(c),
            '(' | '[' | '{' => open.push(c),
            _ => {}
        }
        match c {
            '{' => written.push_str(&format!("{DICTIONARY}([")),
            ':' if open.last() == Some(&'{') => written.push(','),
            _ => written.push(c),
        }
    }
    None
}

/// A dictionary in the order of its making.
#[derive(Debug, Default)]
struct Dictionary {
    pairs: Vec<(Value, Value)>,
    /// Where each key stands.
    places: BTreeMap<Value, usize>,
}

/// A dictionary of keys and values, one after the other.
pub(crate) fn dictionary(items: Vec<Value>) -> Value {
    let mut made = Dictionary::default();
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        match made.places.get(&key) {
            Some(&at) => made.pairs[at].1 = value,
            None => {
                made.places.insert(key.clone(), made.pairs.len());
                made.pairs.push((key, value));
            }
        }
    }
    Value::from_object(made)
}

impl Object for Dictionary {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.places.get(key).map(|&at| self.pairs[at].1.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.pairs.iter().map(|(key, _)| key.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_written_otherwise() {
        for (template, expected) in [
            ("a\r\nb\rc", "a\nb\nc"),
            ("{%- generation -%}x{% endgeneration %}", "{%- with -%}x{% endwith %}"),
            ("{{ 'a{b}: }}' }}", "{{ 'a{b}: }}' }}"),
            (
                "{{ {'a': x[1:2], 'b': {}}}}",
                "{{ dictionary_as_written(['a', x[1:2], 'b', dictionary_as_written([])])}}",
            ),
            ("{% set x = {\"}\": 1} %}", "{% set x = dictionary_as_written([\"}\", 1]) %}"),
            ("{# {'a': 1} #}{ {{ 1 }}", "{# {'a': 1} #}{ {{ 1 }}"),
            (
                "{% raw %}{{ {1: 2} }}{% endraw %}{{ 1 }}",
                "{% raw %}{{ {1: 2} }}{% endraw %}{{ 1 }}",
            ),
            ("{{ 'open", "{{ 'open"),
            ("{% if", "{% if"),
            ("{% raw %}{", "{% raw %}{"),
            ("{#", "{#"),
        ] {
            assert_eq!(prepared(template), expected, "{template}");
        }
    }
}
