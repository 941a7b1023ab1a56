//! A tower layer's service that is ready when its group has room.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tower::Service;
use winddown::future::{Tracked, WaitRoom};
use winddown::{Refused, TaskGroup, TaskGuard};

/// Takes a place of a group with a limit in `poll_ready`, and spends it on the call.
pub struct Limited<S> {
    service: S,
    group: TaskGroup,
    room: Option<WaitRoom>,
    place: Option<TaskGuard>,
}

impl<S> Limited<S> {
    /// `group` was built with a limit.
    pub fn new(service: S, group: TaskGroup) -> Self {
        Self { service, group, room: None, place: None }
    }
}

/// A clone has no place yet: it is not ready.
impl<S: Clone> Clone for Limited<S> {
    fn clone(&self) -> Self {
        Self::new(self.service.clone(), self.group.clone())
    }
}

impl<R, S: Service<R, Error: From<Refused>>> Service<R> for Limited<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Tracked<S::Future, TaskGuard>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if self.place.is_none() {
            let group = &self.group;
            let room = self.room.get_or_insert_with(|| group.clone().guard_when_room_owned());
            let place = ready!(Pin::new(room).poll(cx));
            self.room = None;
            self.place = Some(place?);
        }
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let place = self.place.take().expect("`poll_ready` said that it is ready");
        place.track(self.service.call(request))
    }
}
