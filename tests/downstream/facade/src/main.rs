//! Describes a point of a photograph and finds the words again.

use talking_points::prelude::*;

fn main() -> Result<(), Error> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");
    let models = ModelDir::open(format!("{root}/models/tiny"))?.load(&DeviceName::Flex.open()?)?;
    let image = decode_image(format!("{root}/examples/images/horse.jpg").as_ref(), &DecodeOptions::default())?;
    let trip = RoundTrip::run(&models, &image, "300,130".parse()?, &DescribeOptions::default())?;
    println!("{}\n{}", trip.description, trip.verdict());
    assert!(!trip.description.is_empty());
    Ok(())
}
