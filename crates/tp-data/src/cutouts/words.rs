//! Which texts about a cut-out remain true and unambiguous beside other objects.

use super::labels::CutOut;

/// Whether a text names the object by a name that none of the others has. An object without others
/// needs no name.
pub(super) fn leads_to(text: &str, thing: &CutOut, others: &[&CutOut]) -> bool {
    if others.is_empty() {
        return true;
    }
    let text = padded(text);
    let mut said = thing.names().filter(|name| text.contains(&padded(name))).peekable();
    // "The bear's left ear" would match either of two bears, and "its left ear" any animal.
    said.peek().is_some()
        && said.all(|name| {
            others.iter().all(|other| other.names().all(|known| !known.eq_ignore_ascii_case(name)))
        })
}

/// The words of a text in lower case, with a space around each; possessives are reduced to the
/// word.
fn padded(text: &str) -> String {
    let lower = text.to_lowercase().replace("'s", " ").replace("’s", " ");
    format!(
        " {} ",
        lower
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(names: &[&str]) -> CutOut {
        let also = names[1..].iter().map(|&name| name.to_owned()).collect();
        CutOut { path: "a.png".into(), name: names[0].to_owned(), also, parts: Vec::new() }
    }

    #[test]
    fn texts_beside_other_things_must_name_their_own() {
        let [parrot, hen, frog] =
            [&["parrot", "bird"][..], &["hen", "bird"], &["tree frog", "frog", "animal"]]
                .map(thing);
        assert!(leads_to("its beak", &parrot, &[]));
        assert!(!leads_to("its beak", &parrot, &[&frog]));
        assert!(leads_to("the bird's beak", &parrot, &[&frog]));
        assert!(!leads_to("the bird's beak", &parrot, &[&hen]));
        assert!(leads_to("The parrot’s beak", &parrot, &[&hen, &frog]));
        assert!(!leads_to("the parrot's beak", &parrot, &[&parrot]));
        assert!(leads_to("tip of the tree frog's snout", &frog, &[&parrot]));
        assert!(!leads_to("the parroting mouth", &parrot, &[&frog]));
    }
}
