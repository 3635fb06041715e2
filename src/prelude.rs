//! What most programs need: `use talking_points::prelude::*`.

pub use tp_core::{
    DescribeOptions, DescribePoint, Description, ImageHw, LocalizePoint, Located, PixelXy,
    PointName, RgbImage, UnitXy,
};
pub use tp_data::{DecodeOptions, decode_image, write_png};
pub use tp_vision::EncodedImage;

pub use crate::{DeviceName, Error, ModelDir, Models, RoundTrip, overlay::Overlay};
