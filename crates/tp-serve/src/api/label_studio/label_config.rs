//! The labeling configuration of a project: XML with the names of its controls.

use roxmltree::{Document, Node};

use crate::problem::Problem;

/// A labeling configuration is shorter; one with thousands of labels has some 100 kB.
const MAX_BYTES: usize = 1 << 20;

/// What the configuration says about an image, its keypoints and its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LabelConfig {
    /// The name of the `Image`.
    pub(super) image: String,
    /// The member of a task's data that has the image.
    pub(super) image_field: String,
    /// The `KeyPoint` or `KeyPointLabels` for the image.
    pub(super) keypoint: Option<KeyPointControl>,
    /// The `TextArea` for the image.
    pub(super) text_area: Option<TextAreaControl>,
    /// The member of a task's data that a `Text` shows.
    pub(super) text_field: Option<String>,
}

/// A control for keypoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyPointControl {
    pub(super) name: String,
    /// The first label, if it has labels.
    pub(super) label: Option<String>,
}

/// A control for texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextAreaControl {
    pub(super) name: String,
    /// Whether each region has a text of its own.
    pub(super) is_per_region: bool,
}

impl LabelConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    ///
    /// A problem if it is not XML, or has no image.
    pub(super) fn parse(xml: &str) -> Result<Self, Problem> {
        if xml.len() > MAX_BYTES {
            return Err(Problem::unusable(format!(
                "the labeling configuration has more than {MAX_BYTES} bytes"
            )));
        }
        let document = Document::parse(xml).map_err(|error| {
            Problem::unusable(format!("the labeling configuration is not XML: {error}"))
        })?;
        let tags = |names: &'static [&'static str]| {
            document.descendants().filter(move |node| names.contains(&node.tag_name().name()))
        };
        let image = tags(&["Image"]).next().ok_or_else(|| {
            Problem::unusable(
                "the labeling configuration has no <Image>, whose points could be described",
            )
        })?;
        let name = attribute(image, "name");
        let is_for_image = |node: &Node<'_, '_>| attribute(*node, "toName") == name;
        let keypoint = tags(&["KeyPoint", "KeyPointLabels"]).find(is_for_image);
        let text_area = tags(&["TextArea"]).find(is_for_image);
        Ok(Self {
            image_field: field(image),
            keypoint: keypoint.map(|node| KeyPointControl {
                name: attribute(node, "name"),
                label: (node.tag_name().name() == "KeyPointLabels").then(|| {
                    let label = node.children().find(|child| child.tag_name().name() == "Label");
                    label.map(|label| attribute(label, "value")).unwrap_or_default()
                }),
            }),
            text_area: text_area.map(|node| TextAreaControl {
                name: attribute(node, "name"),
                is_per_region: attribute(node, "perRegion") == "true",
            }),
            text_field: tags(&["Text"]).next().map(field),
            image: name,
        })
    }
}

fn attribute(node: Node<'_, '_>, name: &str) -> String {
    node.attribute(name).unwrap_or_default().to_owned()
}

/// The member of a task's data that a control shows: `$image` is `image`.
fn field(node: Node<'_, '_>) -> String {
    attribute(node, "value").trim_start_matches('$').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_of_the_image_are_found() {
        let config = LabelConfig::parse(
            r#"<View>
                <Image name="img" value="$photo"/> <Image name="other" value="$x"/>
                <Text name="words" value="$caption"/>
                <TextArea name="about" toName="words"/>
                <TextArea name="description" toName="img" perRegion="true"/>
                <KeyPointLabels name="kp" toName="img" smart="true"><Label value="Point"/><Label value="B"/></KeyPointLabels>
            </View>"#,
        )
        .unwrap();
        let expected = LabelConfig {
            image: "img".to_owned(),
            image_field: "photo".to_owned(),
            keypoint: Some(KeyPointControl {
                name: "kp".to_owned(),
                label: Some("Point".to_owned()),
            }),
            text_area: Some(TextAreaControl {
                name: "description".to_owned(),
                is_per_region: true,
            }),
            text_field: Some("caption".to_owned()),
        };
        assert_eq!(config, expected);
        for wrong in ["", "<View>", "<View/>", "<View><Text name=\"t\" value=\"$t\"/></View>"] {
            assert!(LabelConfig::parse(wrong).is_err(), "{wrong}");
        }
    }
}
