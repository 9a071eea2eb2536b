//! Which events count.

use std::path::Path;

use super::{Event, Logged, Refusal, State};

/// Events in the order in which they happened, which of them count, and what those amount to.
///
/// What is taken back stays in the log. Events are taken back from the last to the first, whoever's
/// they are, down to the beginning of the session; one that is taken back can be brought back until
/// something new happens.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    events: Vec<Logged>,
    /// The numbers of the events that count, and of those that can be brought back, next one last.
    counting: Vec<usize>,
    undone: Vec<usize>,
    state: State,
}

impl Timeline {
    pub(super) fn new() -> Self {
        Self {
            events: Vec::new(),
            counting: Vec::new(),
            undone: Vec::new(),
            state: State::default(),
        }
    }

    pub(super) fn events(&self) -> &[Logged] {
        &self.events
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// The number of the next event.
    pub(super) fn next_number(&self) -> u64 {
        self.events.len() as u64
    }

    /// The event that would be taken back, or brought back.
    pub(super) fn last_counting(&self) -> Option<&Logged> {
        let last = &self.events[*self.counting.last()?];
        last.event.can_be_undone().then_some(last)
    }

    pub(super) fn last_undone(&self) -> Option<&Logged> {
        self.undone.last().map(|&at| &self.events[at])
    }

    /// The events that count, oldest first.
    pub(super) fn counting(&self) -> impl Iterator<Item = &Logged> {
        self.counting.iter().map(|&at| &self.events[at])
    }

    /// Takes an event in. If it is refused, nothing has changed.
    pub(super) fn push(&mut self, logged: Logged, root: &Path) -> Result<(), Refusal> {
        match logged.event {
            Event::Undo { event } => {
                check(self.last_counting(), event)?;
                self.undone.extend(self.counting.pop());
                self.fold(root)?;
            }
            Event::Redo { event } => {
                check(self.last_undone(), event)?;
                if let Some(again) = self.undone.pop() {
                    self.state.apply(&self.events[again], root)?;
                    self.counting.push(again);
                }
            }
            Event::Overruled { .. } => {}
            _ => {
                self.state.apply(&logged, root)?;
                self.counting.push(self.events.len());
                self.undone.clear();
            }
        }
        self.events.push(logged);
        Ok(())
    }

    /// The same timeline without its last event, which could not be written.
    pub(super) fn without_last(&self, root: &Path) -> Result<Self, Refusal> {
        let kept = self.events.len().saturating_sub(1);
        self.events[..kept].iter().try_fold(Self::new(), |mut timeline, logged| {
            timeline.push(logged.clone(), root)?;
            Ok(timeline)
        })
    }

    /// Makes the state anew from the events that count.
    fn fold(&mut self, root: &Path) -> Result<(), Refusal> {
        self.state = State::default();
        for &at in &self.counting {
            self.state.apply(&self.events[at], root)?;
        }
        Ok(())
    }
}

/// Only the last event is taken back or brought back.
fn check(last: Option<&Logged>, event: u64) -> Result<(), Refusal> {
    match last {
        Some(last) if last.number == event => Ok(()),
        _ => Err(Refusal::NotTheLast { event }),
    }
}
