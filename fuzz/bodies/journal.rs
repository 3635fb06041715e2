//! A journal of a build that was damaged: what stays readable is the same the next time, and only
//! an unfinished end is cut away.
//!
//! A line of an input is the JSON of a line, to which its checksum is put; one that begins with `#`
//! is written as it is.

use serde::{Deserialize, de::IgnoredAny};
use tp_builder::{Answered, ContentKey, SurveyedImage, read_journal};

use crate::scratch;

/// What is known of a line before it is read.
#[derive(Deserialize)]
struct Head {
    key: ContentKey,
    #[serde(rename = "done")]
    _done: IgnoredAny,
}

pub(crate) fn run(input: &[u8]) {
    let path = scratch::folder("journal", |_| ()).join("answers.jsonl");
    let (mut file, mut keys) = (Vec::new(), Vec::new());
    for line in input.split_inclusive(|&byte| byte == b'\n') {
        if let Some(raw) = line.strip_prefix(b"#") {
            file.extend_from_slice(raw);
            continue;
        }
        let json = line.strip_suffix(b"\n").unwrap_or(line);
        keys.extend(serde_json::from_slice::<Head>(json).map(|head| head.key));
        file.extend_from_slice(&ContentKey::of_bytes(json).to_string().as_bytes()[..8]);
        file.push(b' ');
        file.extend_from_slice(line);
    }
    check::<Answered>(&path, &file, &keys);
    check::<SurveyedImage>(&path, &file, &keys);
}

fn check<T: serde::Serialize + serde::de::DeserializeOwned>(
    path: &std::path::Path,
    file: &[u8],
    keys: &[ContentKey],
) {
    scratch::put(path, file);
    let read = || {
        let found = read_journal::<T>(path, keys).expect("a damaged journal can be opened");
        // Values without a number come back as they are; a decimal only to within a unit in its
        // last place.
        found.into_iter().map(|found| found.map(|found| found.is_some()).ok()).collect::<Vec<_>>()
    };
    let first = read();
    let left = std::fs::read(path).expect("the journal is still there");
    let end = file.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    assert_eq!(left, &file[..end]);
    assert_eq!(read(), first);
}
