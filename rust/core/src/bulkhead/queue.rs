//! Who waits, in the order in which places go to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Ticket;
use crate::clock::Nanos;

/// The lowest goes first. Numbers of tickets never repeat, so no two are equal.
type Rank = (i128, u64);

/// Tickets by rank: joining, taking the first and leaving from the middle are all logarithmic.
///
/// A rank never changes while its ticket waits, also with ageing: that a step of priority is worth so much waiting is
/// the same as having joined so much earlier, and between any two that wait this difference is constant.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// How long a wait is worth one step of priority; zero: no wait is.
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

    /// Takes out who goes first.
    pub(super) fn pop(&mut self) -> Option<Arc<Ticket>> {
        self.tickets.pop_first().map(|(_, ticket)| ticket)
    }

    /// Takes out the last, if a call of that priority which comes now goes before it.
    pub(super) fn displace(&mut self, priority: i32, now: Nanos) -> Option<Arc<Ticket>> {
        let last = self.tickets.last_entry()?;
        let comes_before = Self::rank(self.ageing, priority, now, self.next) < *last.key();
        comes_before.then(|| last.remove())
    }

    /// Takes out this one; false where it is not waiting.
    pub(super) fn remove(&mut self, ticket: &Ticket) -> bool {
        self.tickets.remove(&Self::rank_of(self.ageing, ticket)).is_some()
    }

    /// Another worth of waiting, also for those who wait.
    pub(super) fn set_ageing(&mut self, ageing: Nanos) {
        if ageing != self.ageing {
            self.ageing = ageing;
            let tickets = std::mem::take(&mut self.tickets).into_values();
            self.tickets = tickets.map(|ticket| (Self::rank_of(ageing, &ticket), ticket)).collect();
        }
    }
}
