//! What handlers ask of the models, and what they get.

use std::{sync::Arc, time::Instant};

use talking_points::{
    core::{DescribeOptions, Description, Located, RgbImage, UnitXy},
    vision::EncodedImage,
};
use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::ImageKey;
use crate::{memory::Reserved, problem::Problem};

/// A request for a model about one image.
pub(crate) struct Job {
    pub(crate) image: ImageKey,
    pub(crate) source: ImageSource,
    pub(crate) work: Work,
    pub(crate) submitted: Instant,
    /// When the time for the request is over.
    pub(crate) deadline: Instant,
}

/// Where the image is.
pub(crate) enum ImageSource {
    /// It is encoded.
    Encoded(Arc<EncodedImage>),
    /// It is decoded; its memory is counted.
    Pixels(
        RgbImage,
        #[expect(dead_code, reason = "it is held as long as the pixels are")] Reserved,
    ),
}

/// What is asked.
pub(crate) enum Work {
    Describe(DescribeJob),
    Locate(LocateJob),
}

/// Points to be described.
pub(crate) struct DescribeJob {
    pub(crate) points: Vec<UnitXy>,
    pub(crate) how: DescribeOptions,
    /// Whether the descriptions are located, too.
    pub(crate) locate: bool,
    /// Whether pieces of text are told as they are written.
    pub(crate) stream: bool,
    pub(crate) events: UnboundedSender<DescribeEvent>,
}

/// What happens while points are described.
#[derive(Clone, Debug)]
pub(crate) enum DescribeEvent {
    /// A piece of a point's text.
    Text { point: usize, text: String },
    /// A point is described.
    Point { point: usize, described: DescribedPoint },
    /// Everything is described, and nothing follows.
    Done(Described),
    /// Nothing follows.
    Failed(Problem),
}

/// The descriptions of a job's points, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    pub(crate) points: Vec<DescribedPoint>,
    pub(crate) seconds: Seconds,
    /// Tokens of the longest prompt: the image and the request about a point.
    pub(crate) prompt_tokens: usize,
}

/// A point's description, and where it was found again if that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct DescribedPoint {
    pub(crate) description: Description,
    pub(crate) located: Option<Located>,
}

/// Texts to be located.
pub(crate) struct LocateJob {
    pub(crate) texts: Vec<String>,
    /// The longer side of each text's heat-map, in cells, if it is asked for.
    pub(crate) heatmap: Option<usize>,
    pub(crate) reply: oneshot::Sender<Result<LocatedTexts, Problem>>,
}

/// The answers to a job's texts, in their order.
#[derive(Debug)]
pub(crate) struct LocatedTexts {
    pub(crate) texts: Vec<LocatedText>,
    pub(crate) seconds: Seconds,
}

/// Where a text is.
#[derive(Clone, Debug)]
pub(crate) struct LocatedText {
    pub(crate) located: Option<Located>,
    /// Rows and columns of the grid over the image, and its cells.
    pub(crate) heatmap: Option<([usize; 2], Vec<f32>)>,
}

/// How long the steps took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seconds {
    /// Waiting for the models.
    pub(crate) queued: f64,
    /// Encoding the image; 0 if it was in the cache.
    pub(crate) encode: f64,
    pub(crate) describe: f64,
    pub(crate) locate: f64,
}

impl Job {
    /// Whether nobody waits for the answer.
    pub(crate) fn is_abandoned(&self) -> bool {
        match &self.work {
            Work::Describe(job) => job.events.is_closed(),
            Work::Locate(job) => job.reply.is_closed(),
        }
    }

    /// Whether both can be answered by one call.
    pub(crate) fn goes_with(&self, other: &Self) -> bool {
        self.image == other.image
            && match (&self.work, &other.work) {
                (Work::Describe(one), Work::Describe(other)) => one.how == other.how,
                (Work::Locate(_), Work::Locate(_)) => true,
                _ => false,
            }
    }

    /// The number of points or texts.
    pub(crate) fn len(&self) -> usize {
        match &self.work {
            Work::Describe(job) => job.points.len(),
            Work::Locate(job) => job.texts.len(),
        }
    }

    /// Tells the client why there is no answer.
    pub(crate) fn fail(self, problem: &Problem) {
        // A client that has gone away needs no answer.
        match self.work {
            Work::Describe(job) => {
                let _ = job.events.send(DescribeEvent::Failed(problem.clone()));
            }
            Work::Locate(job) => {
                let _ = job.reply.send(Err(problem.clone()));
            }
        }
    }
}
