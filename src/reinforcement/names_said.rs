//! A reward that cannot be had by coordinates: whether a description says the names.

use tp_core::PointName;
use tp_data::Lexicon;
use tp_rl::{Judged, RewardTerm};

/// The share of the names that the frozen vision model reads at the point (object and part) and that
/// the description says, itself or by a synonym; 1 where none is read.
///
/// The distance alone leaves names to chance: a policy that writes them itself may trade "ear" for
/// "body", because a wrong guess about a large part costs less. Where names are inserted into the
/// text, as the bundled model's are, the term is nearly always 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct NamesSaid;

impl RewardTerm for NamesSaid {
    fn name(&self) -> &str {
        "names_said"
    }

    fn reward(&self, judged: &Judged<'_>) -> Option<f64> {
        let Some(PointName { object, part, .. }) = judged.name else { return Some(1.0) };
        let lexicon = Lexicon::shipped();
        let said = [
            object.as_ref().map(|noun| lexicon.names_object(judged.text, &[noun])),
            part.as_ref().map(|noun| lexicon.names_part(judged.text, &[noun])),
        ];
        let read = said.iter().flatten().count();
        let said = said.iter().flatten().filter(|is_said| **is_said).count();
        Some(if read == 0 { 1.0 } else { said as f64 / read as f64 })
    }
}

#[cfg(test)]
mod tests {
    use tp_core::UnitXy;

    use super::*;

    #[test]
    fn every_name_that_is_read_counts_the_same() {
        let name = |object: Option<&str>, part: Option<&str>| PointName {
            object: object.map(str::to_owned),
            object_probability: 0.5,
            part: part.map(str::to_owned),
            part_probability: 0.5,
            colour: None,
        };
        let reward = |name: Option<&PointName>, text: &str| {
            let truth = UnitXy::nearest(0.5, 0.5);
            NamesSaid.reward(&Judged {
                truth,
                name,
                located: None,
                text,
                n_tokens: 1,
                finished: true,
            })
        };
        let both = name(Some("couch"), Some("leg"));
        for (text, expected) in [
            ("the left leg of the couch", 1.0),
            ("the left leg of the sofa", 1.0),
            ("the cushion of a couch", 0.5),
            ("something brown", 0.0),
        ] {
            assert_eq!(reward(Some(&both), text), Some(expected), "{text}");
        }
        assert_eq!(reward(Some(&name(None, Some("leg"))), "a brown leg"), Some(1.0));
        assert_eq!(reward(Some(&name(None, None)), "something"), Some(1.0));
        assert_eq!(reward(None, "something"), Some(1.0));
    }
}
