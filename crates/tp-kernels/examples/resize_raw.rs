//! Resizes raw images from standard input to standard output, for `tests/oracles/pillow_bicubic.py`:
//! four numbers of 32 bits (height, width, height and width of the result) and the image's bytes,
//! again and again.

use std::io::{Read, Write};

use tp_kernels::{Framed, resize_bicubic};

fn main() -> std::io::Result<()> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut sizes = [0; 16];
    while input.read_exact(&mut sizes).is_ok() {
        let [height, width, to_height, to_width] = [0, 4, 8, 12].map(|at| {
            u32::from_le_bytes([sizes[at], sizes[at + 1], sizes[at + 2], sizes[at + 3]]) as usize
        });
        let mut bytes = vec![0; height * width * 3];
        input.read_exact(&mut bytes)?;
        let image = Framed::whole(&bytes, [height, width]);
        output.write_all(&resize_bicubic(&image, [to_height, to_width]))?;
        output.flush()?;
    }
    Ok(())
}
