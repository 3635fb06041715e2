//! Patches on the CPU, with a task per row of patches. The gradient uses the reference, because
//! images are rarely trained.

use burn::backend::{TensorMetadata, flex::Flex, flex::FlexTensor};
use rayon::prelude::*;

use super::{ImagePatchesOps, reference};
use crate::flex_buffer::{all_f32, floats, tensor_of};
use crate::same_padding::SamePadding;

impl ImagePatchesOps for Flex {
    fn image_patches(images: FlexTensor, side: usize, stride: usize) -> FlexTensor {
        let shape = images.shape();
        let (channels, [height, width]) = (shape[1], [shape[2], shape[3]]);
        if !all_f32(&[&images]) || shape.num_elements() == 0 {
            return reference::image_patches::<Self>(images, side, stride);
        }
        let images = images.to_contiguous();
        let images = floats(&images);
        let [rows, columns] = SamePadding::of_map([height, width], side, stride);
        let patch = channels * side * side;
        let mut out = vec![0.0; shape[0] * rows.output * columns.output * patch];
        out.par_chunks_mut(columns.output * patch).enumerate().for_each(|(index, out)| {
            let (image, row) = (index / rows.output, index % rows.output);
            let image = &images[image * channels * height * width..][..channels * height * width];
            for (plane, image) in image.chunks_exact(height * width).enumerate() {
                for u in 0..side {
                    // Pixels outside the image stay zero.
                    let Some(y) =
                        (row * stride + u).checked_sub(rows.before).filter(|&y| y < height)
                    else {
                        continue;
                    };
                    let line = &image[y * width..][..width];
                    let at = (plane * side + u) * side;
                    for (column, out) in out.chunks_exact_mut(patch).enumerate() {
                        let out = &mut out[at..at + side];
                        let first = column * stride;
                        if first >= columns.before && first - columns.before + side <= width {
                            out.copy_from_slice(&line[first - columns.before..][..side]);
                            continue;
                        }
                        for (v, out) in out.iter_mut().enumerate() {
                            if let Some(&x) =
                                (first + v).checked_sub(columns.before).and_then(|x| line.get(x))
                            {
                                *out = x;
                            }
                        }
                    }
                }
            }
        });
        tensor_of(out, [shape[0], rows.output, columns.output, patch])
    }
}
