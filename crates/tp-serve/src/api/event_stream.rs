//! Descriptions as server-sent events, while they are written.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use axum::response::{IntoResponse, Response, Sse, sse::Event};
use futures_core::Stream;
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Sleep, sleep_until},
};

use crate::{
    engine::{DescribeEvent, Described, DescribedPoint},
    problem::Problem,
};

/// How what happens is told to a client.
pub(crate) trait EventFormat: Send + Unpin + 'static {
    /// Before anything else.
    fn begin(&mut self) -> Vec<Event>;
    /// A piece of a point's text.
    fn text(&mut self, point: usize, text: String) -> Vec<Event>;
    /// A point is described.
    fn point(&mut self, point: usize, described: DescribedPoint) -> Vec<Event>;
    /// Everything is described, and nothing follows.
    fn done(&mut self, described: Described) -> Vec<Event>;
    /// Nothing follows.
    fn failed(&mut self, problem: &Problem) -> Vec<Event>;
}

/// The events of a job. When the client goes away this is dropped, and the job ends at its next
/// token.
pub(crate) struct EventStream<F> {
    format: F,
    ready: VecDeque<Event>,
    events: UnboundedReceiver<DescribeEvent>,
    time: Pin<Box<Sleep>>,
    is_finished: bool,
}

impl<F: EventFormat> EventStream<F> {
    pub(crate) fn new(
        mut format: F,
        events: UnboundedReceiver<DescribeEvent>,
        deadline: Instant,
    ) -> Self {
        Self {
            ready: format.begin().into(),
            format,
            events,
            time: Box::pin(sleep_until(deadline.into())),
            is_finished: false,
        }
    }

    fn fail(&mut self, problem: &Problem) {
        let events = self.format.failed(problem);
        self.ready.extend(events);
        self.is_finished = true;
    }
}

impl<F: EventFormat> Stream for EventStream<F> {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if this.is_finished {
                return Poll::Ready(None);
            }
            match this.events.poll_recv(cx) {
                Poll::Ready(Some(DescribeEvent::Text { point, text })) => {
                    this.ready.extend(this.format.text(point, text));
                }
                Poll::Ready(Some(DescribeEvent::Point { point, described })) => {
                    this.ready.extend(this.format.point(point, described));
                }
                Poll::Ready(Some(DescribeEvent::Done(described))) => {
                    this.ready.extend(this.format.done(described));
                    this.is_finished = true;
                }
                Poll::Ready(Some(DescribeEvent::Failed(problem))) => this.fail(&problem),
                Poll::Ready(None) => this.fail(&Problem::model_failed()),
                Poll::Pending if this.time.as_mut().poll(cx).is_ready() => {
                    this.events.close();
                    this.fail(&Problem::timeout());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<F: EventFormat> IntoResponse for EventStream<F> {
    fn into_response(self) -> Response {
        Sse::new(self).into_response()
    }
}
