//! The paper's reinforcement: the Descriptor is trained to write descriptions that the Localizer
//! finds.
//!
//! [`DescriptorPolicy`] trains the Descriptor's adapter, with a frozen copy of it as the reference;
//! [`LocalizerJudge`] wraps the frozen Localizer; [`SeenPoints`] holds the points of a set of
//! images, each encoded once. The algorithm itself is in [`rl`](crate::rl), which is independent of
//! these models.

mod closed_loop;
mod descriptor_policy;
mod error;
mod experiment;
mod families;
mod jitter;
mod localizer_judge;
mod names_said;
mod page;
mod seen_points;

pub use closed_loop::{closed_loop, descriptions, points_by_words};
pub use descriptor_policy::DescriptorPolicy;
pub use error::ReinforcementError;
pub use experiment::{
    Experiment, ExperimentReport, ExperimentSets, ExperimentSettings, ExperimentSize, Method,
};
pub use families::{family_photographs, family_scenes, with_adapter};
pub use jitter::localizer_jitter;
pub use localizer_judge::LocalizerJudge;
pub use names_said::NamesSaid;
pub use page::write_page;
pub use seen_points::{SeenImage, SeenPoints};
