//! The events of `POST /v1/describe` with `"stream": true`.

use axum::response::sse::Event;
use serde::Serialize;

use super::{
    event_stream::EventFormat,
    types::{DescribeSeconds, DescribedPixel, ImageInfo, Pixel},
};
use crate::{
    engine::{Described, DescribedPoint},
    problem::Problem,
};

/// The events of a request's points.
pub(super) struct DescribeEvents {
    pub(super) image: ImageInfo,
    pub(super) model: String,
    pub(super) points: Vec<Pixel>,
}

#[derive(Serialize)]
struct Begun<'a> {
    #[serde(flatten)]
    image: &'a ImageInfo,
    model: &'a str,
}

#[derive(Serialize)]
struct Text {
    point: usize,
    text: String,
}

#[derive(Serialize)]
struct Point {
    point: usize,
    #[serde(flatten)]
    described: DescribedPixel,
}

#[derive(Serialize)]
struct Done {
    seconds: DescribeSeconds,
}

impl EventFormat for DescribeEvents {
    fn begin(&mut self) -> Vec<Event> {
        event("image", &Begun { image: &self.image, model: &self.model })
    }

    fn text(&mut self, point: usize, text: String) -> Vec<Event> {
        event("text", &Text { point, text })
    }

    fn point(&mut self, point: usize, described: DescribedPoint) -> Vec<Event> {
        let described = DescribedPixel::new(self.points[point], described);
        event("point", &Point { point, described })
    }

    fn done(&mut self, described: Described) -> Vec<Event> {
        event("done", &Done { seconds: described.seconds.into() })
    }

    fn failed(&mut self, problem: &Problem) -> Vec<Event> {
        event("error", &problem.body("/v1/describe"))
    }
}

fn event(name: &str, data: &impl Serialize) -> Vec<Event> {
    // Our types have no maps with keys other than strings, so JSON can hold them.
    let json = serde_json::to_string(data).unwrap_or_default();
    vec![Event::default().event(name).data(json)]
}
