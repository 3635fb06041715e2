//! Writes rows as Parquet files that every engine can read: flat nullable columns, Snappy
//! compression, and images as Hugging Face stores them.
//!
//! Columns are written directly, without Arrow, which would be a large dependency for a few strings
//! and numbers. An image that several rows of a group share is stored once, because its column
//! always uses a dictionary.

use std::{io::Write, sync::Arc};

use parquet::{
    basic::{Compression, Encoding},
    data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties},
        writer::{SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::{
        parser::parse_message_type,
        types::{ColumnPath, TypePtr},
    },
};
use serde_json::{Map, Value as Json, json};

use super::{rows::ImageFile, statistics::side_name, survey::name_of};
use crate::{Images, Row};
use tp_data::BoxXywh;

/// The column with the whole row as JSON.
pub(crate) const JSON_COLUMN: &str = "json";
/// The column of image files.
pub(crate) const BYTES_COLUMN: &str = "image.bytes";

/// A value of a column.
enum Value {
    Text(Option<String>),
    Whole(i32),
    Real(Option<f64>),
}

/// A column: its name, and its value in a row.
type Column = (&'static str, fn(&Row) -> Value);

/// All columns except the image, in order.
const COLUMNS: [Column; 37] = [
    ("id", |row| text(&row.id)),
    ("image_path", |row| text(&row.triplet.image)),
    ("width", |row| Value::Whole(row.triplet.size.width().try_into().unwrap_or(i32::MAX))),
    ("height", |row| Value::Whole(row.triplet.size.height().try_into().unwrap_or(i32::MAX))),
    ("x", |row| Value::Real(Some(row.triplet.point.x()))),
    ("y", |row| Value::Real(Some(row.triplet.point.y()))),
    ("description", |row| text(&row.triplet.description)),
    ("style", |row| text(&name_of(&row.triplet.style))),
    ("kind", |row| text(&name_of(&row.kind))),
    ("side", |row| text(side_name(row.side))),
    ("object", |row| text(&row.triplet.record.category)),
    ("family", |row| Value::Text(row.triplet.record.family.clone())),
    ("part", |row| Value::Text(row.triplet.record.part.clone())),
    ("keypoint", |row| Value::Text(row.triplet.record.keypoint.clone())),
    ("colour", |row| text(&row.triplet.record.colour)),
    ("texture", |row| text(&row.triplet.record.texture)),
    ("shape", |row| text(&row.triplet.record.shape)),
    ("object_x", |row| Value::Real(Some(row.object_box.x))),
    ("object_y", |row| Value::Real(Some(row.object_box.y))),
    ("object_width", |row| Value::Real(Some(row.object_box.width))),
    ("object_height", |row| Value::Real(Some(row.object_box.height))),
    ("part_x", |row| of_part(row, |part| part.x)),
    ("part_y", |row| of_part(row, |part| part.y)),
    ("part_width", |row| of_part(row, |part| part.width)),
    ("part_height", |row| of_part(row, |part| part.height)),
    ("context", |row| text(&row.context)),
    ("contradictions", |row| {
        text(&row.contradictions.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" "))
    }),
    ("located_x", |row| {
        Value::Real(row.localized.and_then(|found| found.point).map(|point| point.x()))
    }),
    ("located_y", |row| {
        Value::Real(row.localized.and_then(|found| found.point).map(|point| point.y()))
    }),
    ("located_error", |row| Value::Real(row.localized.and_then(|found| found.error))),
    ("source", |row| text(&row.triplet.source)),
    ("group", |row| text(&row.triplet.group)),
    ("image_sha256", |row| text(&row.image_sha256.to_string())),
    ("licence", |row| Value::Text(row.licence.as_ref().map(|licence| licence.name.clone()))),
    ("licence_url", |row| Value::Text(row.licence.as_ref().map(|licence| licence.url.clone()))),
    ("attribution", |row| {
        Value::Text(row.licence.as_ref().and_then(|licence| licence.attribution.clone()))
    }),
    (JSON_COLUMN, |row| Value::Text(serde_json::to_string(row).ok())),
];

fn text(text: &str) -> Value {
    Value::Text(Some(text.to_owned()))
}

fn of_part(row: &Row, number: fn(&BoxXywh) -> f64) -> Value {
    Value::Real(row.part_box.as_ref().map(number))
}

/// The type of a column.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Whole,
    Real,
}

fn kind_of(name: &str) -> Kind {
    match name {
        "width" | "height" => Kind::Whole,
        "x" | "y" => Kind::Real,
        name if name.starts_with("object_")
            || name.starts_with("part_")
            || name.starts_with("located_") =>
        {
            Kind::Real
        }
        _ => Kind::Text,
    }
}

/// Writes rows group by group.
pub(crate) struct ParquetWriter<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    images: Images,
    rows_per_group: usize,
    waiting: Vec<(Row, ImageFile)>,
}

impl<W: Write + Send> ParquetWriter<W> {
    pub(crate) fn new(to: W, images: Images, rows_per_group: usize) -> Result<Self, ParquetError> {
        let writer = SerializedFileWriter::new(to, schema(images)?, Arc::new(properties(images)))?;
        Ok(Self { writer, images, rows_per_group, waiting: Vec::new() })
    }

    pub(crate) fn push(&mut self, row: Row, image: ImageFile) -> Result<(), ParquetError> {
        self.waiting.push((row, image));
        if self.waiting.len() >= self.rows_per_group { self.write_group() } else { Ok(()) }
    }

    pub(crate) fn finish(mut self) -> Result<(), ParquetError> {
        if !self.waiting.is_empty() {
            self.write_group()?;
        }
        self.writer.close().map(drop)
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.waiting);
        let mut group = self.writer.next_row_group()?;
        if self.images == Images::Embedded {
            let bytes: Vec<ByteArray> = rows.iter().map(|(_, image)| image.bytes.clone()).collect();
            let paths: Vec<ByteArray> =
                rows.iter().map(|(_, image)| ByteArray::from(image.name.as_str())).collect();
            // Both the image and its field are present.
            let levels = vec![2; rows.len()];
            for values in [bytes, paths] {
                put::<ByteArrayType, W>(&mut group, &values, &levels)?;
            }
        }
        for (name, value) in COLUMNS {
            let values: Vec<Value> = rows.iter().map(|(row, _)| value(row)).collect();
            match kind_of(name) {
                Kind::Text => {
                    put_optional::<ByteArrayType, W>(&mut group, &values, |value| match value {
                        Value::Text(text) => text.as_deref().map(ByteArray::from),
                        _ => None,
                    })?
                }
                Kind::Whole => put_optional::<Int32Type, W>(&mut group, &values, |value| {
                    if let Value::Whole(n) = value { Some(*n) } else { None }
                })?,
                Kind::Real => put_optional::<DoubleType, W>(&mut group, &values, |value| {
                    if let Value::Real(x) = value { *x } else { None }
                })?,
            }
        }
        group.close().map(drop)
    }
}

fn put_optional<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[Value],
    of: impl Fn(&Value) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let values: Vec<Option<T::T>> = values.iter().map(of).collect();
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let there: Vec<T::T> = values.into_iter().flatten().collect();
    put::<T, W>(group, &there, &levels)
}

fn put<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    levels: &[i16],
) -> Result<(), ParquetError> {
    let column: Option<SerializedColumnWriter<'_>> = group.next_column()?;
    let mut column = column
        .ok_or_else(|| ParquetError::General("more columns than the schema has".to_owned()))?;
    column.typed::<T>().write_batch(values, Some(levels), None)?;
    column.close()
}

/// All columns are nullable, as engines write them, so that files of different origin can be read
/// together.
fn schema(images: Images) -> Result<TypePtr, ParquetError> {
    let mut fields = String::new();
    if images == Images::Embedded {
        fields.push_str("optional group image { optional byte_array bytes; optional byte_array path (utf8); }\n");
    }
    for (name, _) in COLUMNS {
        let field = match kind_of(name) {
            Kind::Text => format!("optional byte_array {name} (utf8);\n"),
            Kind::Whole => format!("optional int32 {name};\n"),
            Kind::Real => format!("optional double {name};\n"),
        };
        fields.push_str(&field);
    }
    parse_message_type(&format!("message triplets {{ {fields} }}")).map(Arc::new)
}

fn properties(images: Images) -> WriterProperties {
    const NEVER: usize = 1 << 40;
    let bytes = || ColumnPath::from(vec!["image".to_owned(), "bytes".to_owned()]);
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("talking-points ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_key_value_metadata(Some(vec![KeyValue::new(
            "huggingface".to_owned(),
            features(images).to_string(),
        )]));
    for name in ["id", "description", JSON_COLUMN] {
        properties = properties
            .set_column_dictionary_enabled(ColumnPath::from(name), false)
            .set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::None);
        properties = properties.set_column_encoding(ColumnPath::from(name), Encoding::PLAIN);
    }
    // Images are already compressed, and their minimum and maximum are meaningless.
    properties
        .set_column_compression(bytes(), Compression::UNCOMPRESSED)
        .set_column_statistics_enabled(bytes(), EnabledStatistics::None)
        .set_column_dictionary_enabled(bytes(), true)
        .set_column_dictionary_page_size_limit(bytes(), NEVER)
        .build()
}

/// The schema in the form that Hugging Face's `datasets` expects.
fn features(images: Images) -> Json {
    let mut features = Map::new();
    if images == Images::Embedded {
        features.insert("image".to_owned(), json!({"_type": "Image"}));
    }
    for (name, _) in COLUMNS {
        let dtype = match kind_of(name) {
            Kind::Text => "string",
            Kind::Whole => "int32",
            Kind::Real => "float64",
        };
        features.insert(name.to_owned(), json!({"dtype": dtype, "_type": "Value"}));
    }
    json!({"info": {"features": features}})
}
