//! The queue of waiters, in the order in which they get places.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Ticket;
use crate::clock::Nanos;

/// The lowest rank goes first. Numbers of tickets never repeat, so no two ranks are equal.
type Rank = (i128, u64);

/// Tickets by rank: joining, taking the first and leaving from the middle are all logarithmic.
///
/// A rank never changes while its ticket waits, also with ageing: a step of priority equals an earlier time of
/// joining, and this difference between two waiters is constant.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// The wait that raises the priority by one; zero: no wait does.
    ageing: Nanos,
    next: u64,
    tickets: BTreeMap<Rank, Arc<Ticket>>,
}

impl Queue {
    fn rank(ageing: Nanos, priority: i32, since: Nanos, number: u64) -> Rank {
        let priority = i128::from(priority);
        let order = if ageing == 0 { -priority } else { i128::from(since) - priority * i128::from(ageing) };
        (order, number)
    }

    fn rank_of(ageing: Nanos, ticket: &Ticket) -> Rank {
        Self::rank(ageing, ticket.priority, ticket.since, ticket.number)
    }

    pub(super) fn join(&mut self, priority: i32, now: Nanos) -> Arc<Ticket> {
        let ticket = Arc::new(Ticket::new(priority, now, self.next));
        self.next += 1;
        self.tickets.insert(Self::rank_of(self.ageing, &ticket), Arc::clone(&ticket));
        ticket
    }

    /// Takes out the first waiter.
    pub(super) fn pop(&mut self) -> Option<Arc<Ticket>> {
        self.tickets.pop_first().map(|(_, ticket)| ticket)
    }

    /// Takes out the last waiter, if a new call of this priority goes before it.
    pub(super) fn displace(&mut self, priority: i32, now: Nanos) -> Option<Arc<Ticket>> {
        let last = self.tickets.last_entry()?;
        let comes_before = Self::rank(self.ageing, priority, now, self.next) < *last.key();
        comes_before.then(|| last.remove())
    }

    /// Takes out a ticket; false if it is not waiting.
    pub(super) fn remove(&mut self, ticket: &Ticket) -> bool {
        self.tickets.remove(&Self::rank_of(self.ageing, ticket)).is_some()
    }

    /// Applies another ageing, also to present waiters.
    pub(super) fn set_ageing(&mut self, ageing: Nanos) {
        if ageing != self.ageing {
            self.ageing = ageing;
            let tickets = std::mem::take(&mut self.tickets).into_values();
            self.tickets = tickets.map(|ticket| (Self::rank_of(ageing, &ticket), ticket)).collect();
        }
    }
}
