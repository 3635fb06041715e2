//! The compiled half of the Python package `talking_points`: the facade, call by call.
//!
//! Images come as bytes, results go as tuples; `python/talking_points/__init__.py` makes arrays and
//! data classes of them. The interpreter's lock is released while a model works.

use std::{path::PathBuf, sync::Arc};

use pyo3::{create_exception, exceptions::PyException, prelude::*};
use talking_points::{error_line, prelude::*};

create_exception!(
    talking_points,
    Error,
    PyException,
    "What a model, an image, a point or a text was refused for."
);

fn refused(error: impl Into<talking_points::Error>) -> PyErr {
    Error::new_err(error_line(&error.into()))
}

/// Object, its probability, part, its probability, color.
type NameFields = (Option<String>, f32, Option<String>, f32, Option<String>);
/// Text, log-probability, name.
type DescriptionFields = (String, f64, Option<NameFields>);
/// Column, row, confidence.
type LocatedFields = (f64, f64, Option<f32>);

/// An image that a model has encoded.
#[pyclass(frozen)]
struct Encoded {
    image: EncodedImage,
    size: ImageHw,
    /// The model whose features it holds.
    model: Arc<()>,
}

#[pymethods]
impl Encoded {
    /// Width and height in pixels.
    #[getter]
    fn size(&self) -> (u32, u32) {
        (self.size.width(), self.size.height())
    }
}

/// A model folder, loaded.
#[pyclass(frozen)]
struct Model {
    models: Models,
    identity: Arc<()>,
}

#[pymethods]
impl Model {
    /// Loads a model folder on a device.
    #[new]
    fn new(py: Python<'_>, folder: PathBuf, device: &str) -> PyResult<Self> {
        let device: DeviceName = device.parse().map_err(refused)?;
        let models = py.detach(|| {
            let folder = ModelDir::open(folder).map_err(refused)?;
            folder.load(&device.open().map_err(refused)?).map_err(refused)
        })?;
        Ok(Self { models, identity: Arc::default() })
    }

    /// SHA-256 of the weights, its first 16 digits.
    #[getter]
    fn fingerprint(&self) -> &str {
        &self.models.run.model
    }

    /// Encodes rows of red, green and blue bytes.
    fn encode_pixels(
        &self,
        py: Python<'_>,
        bytes: Vec<u8>,
        width: u32,
        height: u32,
    ) -> PyResult<Encoded> {
        py.detach(|| {
            let size = ImageHw::new(height, width).map_err(refused)?;
            self.encoded(&RgbImage::from_bytes(size, bytes).map_err(refused)?)
        })
    }

    /// Encodes an image file, turned upright.
    fn encode_file(&self, py: Python<'_>, path: PathBuf) -> PyResult<Encoded> {
        py.detach(|| {
            self.encoded(&decode_image(&path, &DecodeOptions::default()).map_err(refused)?)
        })
    }

    /// Describes points, columns and rows in pixels.
    fn describe(
        &self,
        py: Python<'_>,
        image: &Encoded,
        points: Vec<(f64, f64)>,
        seed: u64,
    ) -> PyResult<Vec<DescriptionFields>> {
        self.owns(image)?;
        py.detach(|| {
            let points: Vec<UnitXy> = points
                .into_iter()
                .map(|(x, y)| image.size.unit_from_pixel(PixelXy { x, y }).map_err(refused))
                .collect::<PyResult<_>>()?;
            let how = DescribeOptions { seed, ..DescribeOptions::default() };
            let descriptions =
                self.models.describe(&image.image, &points, &how).map_err(refused)?;
            Ok(descriptions
                .into_iter()
                .map(|Description { text, log_prob, name, .. }| {
                    (text, log_prob, name.map(fields_of))
                })
                .collect())
        })
    }

    /// Locates texts; `None` for those that match nothing in the image.
    fn locate(
        &self,
        py: Python<'_>,
        image: &Encoded,
        texts: Vec<String>,
    ) -> PyResult<Vec<Option<LocatedFields>>> {
        self.owns(image)?;
        py.detach(|| {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let located = self.models.locate(&image.image, &texts).map_err(refused)?;
            Ok(located
                .into_iter()
                .map(|found| {
                    let Located { point, confidence } = found?;
                    let PixelXy { x, y } = image.size.pixel_from_unit(point);
                    Some((x, y, confidence))
                })
                .collect())
        })
    }
}

impl Model {
    fn encoded(&self, image: &RgbImage) -> PyResult<Encoded> {
        let encoded = self.models.encode(image).map_err(refused)?;
        Ok(Encoded { image: encoded, size: image.size(), model: self.identity.clone() })
    }

    fn owns(&self, image: &Encoded) -> PyResult<()> {
        if Arc::ptr_eq(&self.identity, &image.model) {
            return Ok(());
        }
        Err(Error::new_err("the image was encoded by another model: encode it with this one"))
    }
}

fn fields_of(name: PointName) -> NameFields {
    let PointName { object, object_probability, part, part_probability, colour } = name;
    (object, object_probability, part, part_probability, colour)
}

#[pymodule]
mod _native {
    #[pymodule_export]
    use super::{Encoded, Error, Model};
}
