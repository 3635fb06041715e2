//! Reads described points and counts what they are on.

use std::{collections::BTreeSet, error::Error};

use tp_data::{Dataset, DescribedPoints, ReadOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../data/everyday_points");
    let points = DescribedPoints::open(folder.as_ref(), ReadOptions::default())?;
    let mut nouns = BTreeSet::new();
    for index in 0..points.len() {
        let objects = points.load(index)?.image.into_iter().flat_map(|image| image.objects);
        nouns.extend(objects.map(|object| object.category));
    }
    println!("{} photographs, {} nouns", points.len(), nouns.len());
    assert!(points.len() > 1000 && nouns.len() > 100);
    Ok(())
}
