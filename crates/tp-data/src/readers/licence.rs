//! The licenses of the images of each format, as stated by its publishers.

use std::sync::Arc;

use super::DatasetFormat;
use crate::Licence;

/// The URL of a well-known license by the name used in data sets; empty for others.
pub(super) fn url_of(name: &str) -> &'static str {
    match name {
        "CC BY 4.0" => "https://creativecommons.org/licenses/by/4.0/",
        "CC BY 2.0" => "https://creativecommons.org/licenses/by/2.0/",
        "CC0 1.0" => "https://creativecommons.org/publicdomain/zero/1.0/",
        "MIT" => "https://opensource.org/license/mit",
        "Apache-2.0" => "https://www.apache.org/licenses/LICENSE-2.0",
        _ => "",
    }
}

/// The license of a format whose files do not state it.
pub(super) fn of(format: DatasetFormat) -> Arc<Licence> {
    use DatasetFormat::{Ade20kFull, Ade20kPart234, PartImageNet, PascalPart116, PascalPartMat};
    let (name, url) = match format {
        PascalPart116 | PascalPartMat => (
            "none stated; photographs from Flickr, for research under its terms",
            "http://host.robots.ox.ac.uk/pascal/VOC/",
        ),
        Ade20kPart234 | Ade20kFull => (
            "ADE20K terms of use: non-commercial research and education",
            "https://groups.csail.mit.edu/vision/datasets/ADE20K/terms/",
        ),
        PartImageNet => (
            "ImageNet terms of access: non-commercial research and education",
            "https://image-net.org/download.php",
        ),
        _ => ("not stated", ""),
    };
    Arc::new(Licence { name: name.to_owned(), url: url.to_owned(), attribution: None })
}
