//! Detects keypoints once for every line on standard input and prints the seconds; driven by
//! `tests/oracles/sift_speed.py`, which alternates with OpenCV.
//!
//! ```sh
//! cargo run -p tp-data --example sift_speed -- photo.png 2
//! ```

use std::{
    error::Error,
    io::{self, Write},
    path::Path,
    time::Instant,
};

use tp_data::{DecodeOptions, GreyImage, SiftOptions, decode_image, sift_keypoints};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, threads] = arguments.as_slice() else {
        return Err("give an image and a number of threads".into());
    };
    let grey = GreyImage::from_rgb(&decode_image(Path::new(path), &DecodeOptions::default())?);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build()?;
    for line in io::stdin().lines() {
        line?;
        let start = Instant::now();
        let keypoints = pool.install(|| sift_keypoints(&grey, &SiftOptions::default()))?;
        let mut out = io::stdout().lock();
        writeln!(out, "{} {}", start.elapsed().as_secs_f64(), keypoints.len())?;
        out.flush()?;
    }
    Ok(())
}
