//! Lines of triplets: what is read can be written and read again.

use tp_core::Triplet;
use tp_data::{TripletFile, read_triplets, write_triplets};

use crate::scratch;

/// A decimal is parsed to within a unit in the last place.
const NEAR: f64 = 1e-15;

pub(crate) fn run(input: &[u8]) {
    let folder = scratch::folder("triplets", |_| ());
    let (given, written) = (folder.join("given.jsonl"), folder.join("written.jsonl"));
    scratch::put(&given, input);
    let file = TripletFile::open(&given).expect("the file is there");
    let (mut good, mut failed) = (Vec::new(), false);
    for line in file {
        assert!(!failed, "nothing follows an error");
        match line {
            Ok(triplet) => good.push(triplet),
            Err(error) => failed = !error.to_string().is_empty(),
        }
    }
    assert_eq!(read_triplets(&given).is_err(), failed);
    write_triplets(&written, &good).expect("it can be written");
    let again = read_triplets(&written).expect("what we write we read");
    assert_eq!(again.len(), good.len());
    for (one, other) in good.iter().zip(&again) {
        assert!(one.point.distance(other.point) <= NEAR);
        assert_eq!(Triplet { point: one.point, ..other.clone() }, *one);
    }
}
