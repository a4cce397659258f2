//! Reserving and releasing addresses, which cost money.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::route::{Method, Route};
use super::doubts::{Standing, Ticket};
use super::{Holdings, Project};
use crate::domain::{IpReservation, ReservationId, ReservationRequest};
use crate::ports::{MaxAge, MetalError};

/// How soon to ask again while a purchase with the same tags is under way.
const AWAITED: Duration = Duration::from_secs(1);

impl Project {
    pub(super) async fn tagged(&self, tags: &[&str], max_age: MaxAge) -> Result<Vec<Arc<IpReservation>>, MetalError> {
        let (found, trusted_from) = tagged(&mut *self.fresh_reservations(max_age).await?, tags);
        let Some(trusted_from) = trusted_from.filter(|_| found.is_empty()) else {
            return Ok(found);
        };
        self.look_again(trusted_from).await?;
        match tagged(&mut self.holdings(), tags) {
            (found, Some(trusted_from)) if found.is_empty() => Err(self.unsettled(until(trusted_from))),
            (found, _) => Ok(found),
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
        let standing = self.holdings().doubts.about(request.tags.iter().map(String::as_str));
        if let Some(Standing::Lost { trusted_from }) = standing {
            self.look_again(trusted_from).await?;
        }
        if let Some(bought) = self.bought_already(request) {
            return Ok(bought);
        }
        let mut sending = self.begin(request)?;
        match self.client.reserve(&self.id, request).await {
            Ok(mut reservation) => {
                // The tags are how it is found again, whether or not the answer repeats them.
                let missing: Vec<String> =
                    request.tags.iter().filter(|tag| !reservation.tags.contains(tag)).cloned().collect();
                reservation.tags.extend(missing);
                let reservation = Arc::new(reservation);
                self.holdings().reservations.reserved(reservation.clone(), Instant::now());
                sending.settle();
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
            Ok(()) => {
                let mut holdings = self.holdings();
                holdings.reservations.released(id, Instant::now());
                holdings.doubts.gone(id);
            }
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
            Some(Standing::Awaited | Standing::Found(_)) => Err(self.unsettled(AWAITED)),
            Some(Standing::Lost { trusted_from }) => Err(self.unsettled(until(trusted_from))),
        }
    }

    /// What an earlier purchase with these tags turned out to have bought.
    fn bought_already(&self, request: &ReservationRequest) -> Option<Arc<IpReservation>> {
        let mut holdings = self.holdings();
        match holdings.doubts.about(request.tags.iter().map(String::as_str))? {
            Standing::Awaited | Standing::Lost { .. } => None,
            Standing::Found(id) => {
                holdings.doubts.gone(&id);
                holdings.reservations.get(&id).cloned()
            }
        }
    }

    fn unsettled(&self, retry_after: Duration) -> MetalError {
        MetalError::Unsettled { request: format!("{} {}", Method::Post, Route::Reservations(&self.id)), retry_after }
    }
}

/// Reservations with these tags, and from when on listings are trusted to show one that may have been bought besides.
fn tagged(holdings: &mut Holdings, tags: &[&str]) -> (Vec<Arc<IpReservation>>, Option<Instant>) {
    let found = holdings.reservations.tagged(tags.iter().copied());
    holdings.doubts.told(&found);
    (found, holdings.doubts.trusted_from(tags.iter().copied()))
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
