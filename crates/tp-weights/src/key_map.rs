//! Published parameter names ↔ ours, from a table of patterns.

use std::collections::HashMap;

/// How a tensor lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Under a published name: matrices of layers are `[out, in]`.
    Published,
    /// Under our own name: as Burn has it, `[in, out]`.
    Ours,
}

/// A table of name patterns.
///
/// A pattern is a name of dotted segments in which `{i}` stands for a number. On either side the
/// number may be shifted or multiplied: `{i+1}`, `{2i}`. A pattern covers every name that begins
/// with it; what follows is kept. The longest fitting pattern counts. A name that is one of ours
/// already stays as it is.
///
/// ```
/// use tp_weights::KeyMap;
///
/// let keys = KeyMap::new(&[("backbone.layer{i+1}.blocks.{j}.mlp", "stages.{i}.blocks.{j}"), ("backbone.stem.0", "stem.conv")]);
/// assert_eq!(keys.ours("backbone.layer3.blocks.0.mlp.fc1.weight").unwrap(), "stages.2.blocks.0.fc1.weight");
/// assert_eq!(keys.published("stem.conv.bias").unwrap(), "backbone.stem.0.bias");
/// assert_eq!(keys.ours("head.weight"), None);
/// ```
#[derive(Clone, Debug)]
pub struct KeyMap {
    /// Published and our pattern, the longest published one first.
    rules: Vec<[Pattern; 2]>,
}

/// Dotted segments.
type Pattern = Vec<Segment>;

#[derive(Clone, Debug, PartialEq)]
struct Segment {
    before: String,
    number: Option<Number>,
}

/// `factor · variable + shift`
#[derive(Clone, Debug, PartialEq)]
struct Number {
    variable: char,
    factor: usize,
    shift: usize,
}

impl KeyMap {
    /// Pairs of a published pattern and ours.
    ///
    /// # Panics
    ///
    /// If a pattern is misspelt: tables are part of the program.
    #[must_use]
    pub fn new(table: &[(&str, &str)]) -> Self {
        let mut rules: Vec<_> =
            table.iter().map(|&(published, ours)| [parsed(published), parsed(ours)]).collect();
        rules.sort_by_key(|[published, _]| std::cmp::Reverse(published.len()));
        Self { rules }
    }

    /// The same table behind a prefix on either side, e.g. `visual_encoder.` and `eyes.`.
    #[must_use]
    pub fn under(&self, published: &str, ours: &str) -> Self {
        let prefixed = |prefix: &str, pattern: &Pattern| -> Pattern {
            let prefix = prefix.split('.').filter(|segment| !segment.is_empty());
            prefix
                .map(|segment| Segment { before: segment.to_owned(), number: None })
                .chain(pattern.iter().cloned())
                .collect()
        };
        Self {
            rules: self
                .rules
                .iter()
                .map(|[theirs, own]| [prefixed(published, theirs), prefixed(ours, own)])
                .collect(),
        }
    }

    /// The rules of both tables.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.rules.extend(other.rules);
        self.rules.sort_by_key(|[published, _]| std::cmp::Reverse(published.len()));
        self
    }

    /// Our name of a published one.
    #[must_use]
    pub fn ours(&self, published: &str) -> Option<String> {
        self.rules.iter().find_map(|[theirs, ours]| renamed(published, theirs, ours))
    }

    /// The published name of one of ours.
    #[must_use]
    pub fn published(&self, ours: &str) -> Option<String> {
        let fitting = self
            .rules
            .iter()
            .filter_map(|[theirs, own]| Some((own.len(), renamed(ours, own, theirs)?)));
        fitting.max_by_key(|&(length, _)| length).map(|(_, name)| name)
    }
}

/// The name that `to` makes of one that begins with `from`.
fn renamed(name: &str, from: &Pattern, to: &Pattern) -> Option<String> {
    let segments: Vec<&str> = name.split('.').collect();
    if segments.len() < from.len() {
        return None;
    }
    let mut values = HashMap::new();
    for (segment, pattern) in segments.iter().zip(from) {
        let rest = segment.strip_prefix(pattern.before.as_str())?;
        match &pattern.number {
            None if rest.is_empty() => {}
            None => return None,
            Some(Number { variable, factor, shift }) => {
                let canonical = !rest.is_empty()
                    && rest.bytes().all(|byte| byte.is_ascii_digit())
                    && (rest == "0" || !rest.starts_with('0'));
                let number: usize = if canonical { rest.parse().ok()? } else { return None };
                let multiple = number.checked_sub(*shift)?;
                if multiple % factor != 0
                    || *values.entry(*variable).or_insert(multiple / factor) != multiple / factor
                {
                    return None;
                }
            }
        }
    }
    let written = to.iter().map(|Segment { before, number }| match number {
        None => Some(before.clone()),
        Some(Number { variable, factor, shift }) => {
            let value = values[variable].checked_mul(*factor)?.checked_add(*shift)?;
            Some(format!("{before}{value}"))
        }
    });
    let rest = segments[from.len()..].iter().map(|&segment| Some(segment.to_owned()));
    Some(written.chain(rest).collect::<Option<Vec<_>>>()?.join("."))
}

fn parsed(pattern: &str) -> Pattern {
    let segment = |text: &str| -> Option<Segment> {
        let Some((before, rest)) = text.split_once('{') else {
            return Some(Segment { before: text.to_owned(), number: None });
        };
        let inner = rest.strip_suffix('}')?;
        let (product, shift) = inner.split_once('+').unwrap_or((inner, "0"));
        let variable = product.chars().last()?;
        let factor = product.strip_suffix(variable)?;
        let number = Number {
            variable,
            factor: if factor.is_empty() { 1 } else { factor.parse().ok()? },
            shift: shift.parse().ok()?,
        };
        (variable.is_ascii_lowercase() && number.factor > 0)
            .then(|| Segment { before: before.to_owned(), number: Some(number) })
    };
    pattern
        .split('.')
        .map(|text| segment(text).unwrap_or_else(|| panic!("`{pattern}` is no pattern")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> KeyMap {
        KeyMap::new(&[
            ("layer{i+1}.blocks.{j}", "stages.{i}.blocks.{j}"),
            ("layer{i+1}.blocks.{j}.mlp", "stages.{i}.blocks.{j}"),
            ("mlp.{2i}", "layers.{i}"),
            ("embed.weight", "embed"),
        ])
    }

    #[test]
    fn numbers_are_shifted_and_divided() {
        let keys = keys();
        assert_eq!(
            keys.ours("layer4.blocks.12.norm.bias").unwrap(),
            "stages.3.blocks.12.norm.bias"
        );
        assert_eq!(keys.ours("mlp.4.weight").unwrap(), "layers.2.weight");
        assert_eq!(keys.ours("embed.weight").unwrap(), "embed");
        for foreign in [
            "layer0.blocks.1.x",
            "mlp.3.weight",
            "layer01.blocks.1",
            "layer1.block",
            "mlp.-2",
            "mlp.99999999999999999999",
            "",
        ] {
            assert_eq!(keys.ours(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn longest_pattern_counts_both_ways() {
        let keys = keys();
        assert_eq!(keys.ours("layer1.blocks.0.mlp.fc1").unwrap(), "stages.0.blocks.0.fc1");
        assert_eq!(keys.published("layers.3.bias").unwrap(), "mlp.6.bias");
        assert_eq!(keys.published("embed").unwrap(), "embed.weight");
    }

    #[test]
    fn prefixes_go_before_either_side() {
        let keys = keys().under("visual_encoder.", "eyes.").and(KeyMap::new(&[("head", "tail")]));
        assert_eq!(keys.ours("visual_encoder.mlp.0.bias").unwrap(), "eyes.layers.0.bias");
        assert_eq!(keys.ours("mlp.0.bias"), None);
        assert_eq!(keys.ours("head.bias").unwrap(), "tail.bias");
    }

    #[test]
    #[should_panic(expected = "`a.{i` is no pattern")]
    fn misspelt_pattern_is_named() {
        let _ = KeyMap::new(&[("a.{i", "b")]);
    }
}
