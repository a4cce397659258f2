//! Reserving and releasing addresses, which cost money.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::route::{Method, Route};
use super::Project;
use super::doubts::{Standing, Ticket};
use crate::domain::{IpReservation, ReservationId, ReservationRequest};
use crate::ports::{MaxAge, MetalError};

/// How soon to ask again while a purchase with the same tags is under way.
const AWAITED: Duration = Duration::from_secs(1);

impl Project {
    pub(super) async fn tagged(&self, tags: &[&str], max_age: MaxAge) -> Result<Vec<Arc<IpReservation>>, MetalError> {
        let trusted_from = {
            let holdings = self.fresh_reservations(max_age).await?;
            let found = holdings.reservations.tagged(tags.iter().copied());
            match holdings.doubts.lost_with(tags.iter().copied()) {
                Some(trusted_from) if found.is_empty() => trusted_from,
                _ => return Ok(found),
            }
        };
        self.look_again(trusted_from).await?;
        let holdings = self.holdings();
        let found = holdings.reservations.tagged(tags.iter().copied());
        match holdings.doubts.lost_with(tags.iter().copied()) {
            Some(trusted_from) if found.is_empty() => Err(self.unsettled(until(trusted_from))),
            _ => Ok(found),
        }
    }

    /// The reservation with this id, from the listing or by its own address.
    pub(super) async fn one_reservation(&self, id: &ReservationId) -> Result<Option<Arc<IpReservation>>, MetalError> {
        {
            let holdings = self.fresh_reservations(MaxAge::RECENT).await?;
            if let Some(reservation) = holdings.reservations.get(id) {
                return Ok(Some(reservation.clone()));
            }
            if holdings.reservations.is_released(id) {
                return Ok(None);
            }
        }
        match self.client.reservation(id).await {
            Ok(reservation) => Ok(Some(Arc::new(reservation))),
            Err(MetalError::NotFound { .. }) => {
                // A key without rights gets the same answer.
                self.project_since(Instant::now()).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn purchase(&self, request: &ReservationRequest) -> Result<Arc<IpReservation>, MetalError> {
        let tags = || request.tags.iter().map(String::as_str);
        let standing = self.holdings().doubts.about(tags());
        match standing {
            None => {}
            Some(Standing::Awaited) => return Err(self.unsettled(AWAITED)),
            Some(Standing::Lost { trusted_from }) => {
                let known = self.holdings().reservations.tagged(tags());
                self.look_again(trusted_from).await?;
                let found = self.holdings().reservations.tagged(tags());
                if let Some(bought) = found.into_iter().find(|found| known.iter().all(|known| known.id != found.id)) {
                    return Ok(bought);
                }
            }
        }
        let mut sending = self.begin(request)?;
        match self.client.reserve(&self.id, request).await {
            Ok(mut reservation) => {
                // The tags are how it is found again, whether or not the answer repeats them.
                let missing: Vec<String> =
                    request.tags.iter().filter(|tag| !reservation.tags.contains(tag)).cloned().collect();
                reservation.tags.extend(missing);
                let reservation = Arc::new(reservation);
                sending.settle();
                self.holdings().reservations.reserved(reservation.clone(), Instant::now());
                Ok(reservation)
            }
            Err(error) => {
                if !error.is_ambiguous() {
                    sending.settle();
                }
                Err(error)
            }
        }
    }

    pub(super) async fn give_back(&self, id: &ReservationId) -> Result<(), MetalError> {
        let result = self.client.release(id).await;
        match &result {
            Ok(()) => self.holdings().reservations.released(id, Instant::now()),
            Err(error) if error.is_ambiguous() => self.reservation_flight.mark_stale(),
            Err(_) => {}
        }
        result
    }

    /// Lists reservations for the sake of a doubt: every now and then while it is open, and once more when that listing
    /// ends it.
    async fn look_again(&self, trusted_from: Instant) -> Result<(), MetalError> {
        let now = Instant::now();
        let not_before = match now >= trusted_from {
            true => Some(trusted_from),
            false => now.checked_sub(self.config.doubt_poll),
        };
        self.reservation_flight.since(not_before, |started| self.list_reservations(started)).await
    }

    /// Takes the right to buy with these tags; nobody else has it until the outcome is known.
    fn begin(&self, request: &ReservationRequest) -> Result<Sending<'_>, MetalError> {
        let tags = || request.tags.iter().map(String::as_str);
        let mut holdings = self.holdings();
        match holdings.doubts.about(tags()) {
            None => {
                let known = holdings.reservations.tagged(tags());
                let known = known.iter().map(|reservation| reservation.id.clone());
                let ticket = holdings.doubts.begin(tags(), known);
                Ok(Sending { project: self, unsettled: Some(ticket) })
            }
            Some(Standing::Awaited) => Err(self.unsettled(AWAITED)),
            Some(Standing::Lost { trusted_from }) => Err(self.unsettled(until(trusted_from))),
        }
    }

    fn unsettled(&self, retry_after: Duration) -> MetalError {
        MetalError::Unsettled { request: format!("{} {}", Method::Post, Route::Reservations(&self.id)), retry_after }
    }
}

fn until(then: Instant) -> Duration {
    then.saturating_duration_since(Instant::now()).max(AWAITED)
}

/// A purchase under way. Dropped without a clear answer, by cancellation too, it leaves a doubt.
struct Sending<'p> {
    project: &'p Project,
    unsettled: Option<Ticket>,
}

impl Sending<'_> {
    fn settle(&mut self) {
        if let Some(ticket) = self.unsettled.take() {
            self.project.holdings().doubts.end(ticket);
        }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.unsettled.take() {
            self.project.holdings().doubts.lose(ticket, Instant::now());
            self.project.reservation_flight.mark_stale();
        }
    }
}
