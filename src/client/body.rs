//! Turns an answer's body into one that is counted as it comes in, and that must end in time.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;
use tower::BoxError;

use super::{gate::TimedOut, spent::Meter};

/// When a body must have ended, and what to say if it has not.
pub(super) type Deadline = (Pin<Box<Sleep>>, TimedOut);

/// A body whose bytes are counted, and which fails if it has not ended at its deadline.
pub(super) struct Metered<B> {
    inner: B,
    meter: Arc<Meter>,
    deadline: Option<Deadline>,
}

impl<B> Metered<B> {
    /// A body that may go on for ever if it has no deadline, as a watch does.
    pub(super) fn new(inner: B, meter: Arc<Meter>, deadline: Option<Deadline>) -> Self {
        Self {
            inner,
            meter,
            deadline,
        }
    }
}

impl<B> Body for Metered<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = pin!(&mut self.inner).poll_frame(cx) {
            if let Some(Ok(data)) = frame
                .as_ref()
                .map(|frame| frame.as_ref().map(Frame::data_ref))
            {
                self.meter
                    .bytes
                    .add(data.map_or(0, |data| data.remaining() as u64));
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let Some((deadline, late)) = self.deadline.as_mut() else {
            return Poll::Pending;
        };
        match deadline.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let late = late.clone();
                self.meter.timed_out.add(1);
                Poll::Ready(Some(Err(late.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
