//! Two people's work on the same set, in one log.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{Event, History, Logged, RegionId, SessionError, State, Timeline, images, write_log};
use crate::Decision;

/// What two people have both changed, and not in the same way.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// The name of the image.
    pub image: String,
    /// What of it.
    pub kind: ConflictKind,
    /// What the first has last done to it.
    pub first: Logged,
    /// What the second has last done to it.
    pub second: Logged,
}

/// What of an image two people can disagree on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ConflictKind {
    /// Whether it is in the set.
    Presence,
    /// Whether it is used.
    Decision,
    /// The segmentation that counts outside of regions.
    Base,
    /// The part of the split.
    Part,
    /// A region that was there before they parted ways.
    Region(RegionId),
}

/// Whose word counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// That of the first.
    First,
    /// That of the second.
    Second,
    /// Nobody's yet. A decision is open again; anything else stays as the first left it. A note on
    /// the image says so.
    Open,
}

/// What came of joining two logs.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// Number of events that both logs begin with.
    pub common: usize,
    /// What both have changed, each with whose word counts.
    pub conflicts: Vec<(Conflict, Resolution)>,
}

/// Joins two logs that begin with the same events into one: what the first did, then what the second
/// did, each under its own name and time. Nothing is dropped: what loses against the other stays in
/// the log as [`Event::Overruled`]. What the second has done and taken back again is left out; what
/// they have taken back of the common beginning becomes an event that does the opposite, except that
/// remarks stay.
///
/// # Errors
/// If a log can't be read or is damaged, they do not begin with the same events, or the joined log is
/// there already or can't be written.
pub fn join(
    first: impl AsRef<Path>,
    second: impl AsRef<Path>,
    root: impl AsRef<Path>,
    into: impl AsRef<Path>,
    mut resolve: impl FnMut(&Conflict) -> Resolution,
) -> Result<Joined, SessionError> {
    let root = root.as_ref();
    let [a, b] = [first.as_ref(), second.as_ref()];
    let (a_history, b_history) = (History::open(a, root)?, History::open(b, root)?);
    let common = common(a_history.events(), b_history.events());
    if common == 0 {
        return Err(SessionError::Unrelated { first: a.to_owned(), second: b.to_owned() });
    }
    let own = |history| own_events(history, common, root);
    let (a_own, b_own) = (own(&a_history)?, own(&b_history)?);
    let mut joint = Joint::new((&a_history, &a_own), (&b_history, &b_own));
    let conflicts: Vec<(Conflict, Resolution)> = joint
        .conflicts()
        .into_iter()
        .map(|conflict| {
            let resolution = resolve(&conflict);
            (conflict, resolution)
        })
        .collect();
    joint.append_second(&conflicts, root)?;
    write_log(into.as_ref(), root, &joint.events)?;
    Ok(Joined { common, conflicts })
}

/// How many events two logs begin with in common.
fn common(first: &[Logged], second: &[Logged]) -> usize {
    first.iter().zip(second).take_while(|(a, b)| a == b).count()
}

/// What somebody did since they parted, and still counts. What they took back of the common beginning
/// comes first, as events that do the opposite.
fn own_events(history: &History, common: usize, root: &Path) -> Result<Vec<Logged>, SessionError> {
    let mut shared = Timeline::new();
    for logged in &history.events()[..common] {
        shared.push(logged.clone(), root)?;
    }
    let (mut left, mut kept, mut own) = (State::default(), BTreeSet::new(), Vec::new());
    for logged in history.timeline().counting() {
        if logged.number < common as u64 {
            left.apply(logged, root)?;
            kept.insert(logged.number);
        } else {
            own.push(logged.clone());
        }
    }
    let taken_back: Vec<&Logged> =
        shared.counting().filter(|logged| !kept.contains(&logged.number)).collect();
    let mut all = Vec::new();
    for logged in taken_back.into_iter().rev() {
        let Some(event) = opposite(&logged.event, &left, root)? else { continue };
        let undo = Event::Undo { event: logged.number };
        let when = history.events()[common..].iter().rfind(|later| later.event == undo);
        all.push(Logged { event, ..when.unwrap_or(logged).clone() });
    }
    all.append(&mut own);
    Ok(all)
}

/// The event that leads from where an event counts to this state, where it does not; `None` if none is
/// needed.
fn opposite(event: &Event, left: &State, root: &Path) -> Result<Option<Event>, SessionError> {
    let name = event.image().unwrap_or_default();
    let Some(state) = left.image(name) else {
        let added = matches!(event, Event::Add { .. });
        return Ok(added.then(|| Event::Remove { image: name.to_owned() }));
    };
    let image = name.to_owned();
    Ok(match event {
        Event::Decide { .. } => {
            Some(Event::Decide { image, decision: state.record().decision().clone() })
        }
        Event::Base { .. } => Some(Event::Base { image, base: state.record().base() }),
        Event::Assign { .. } => Some(Event::Assign { image, part: state.part() }),
        Event::Exclude { id, .. } | Event::Merge { id, .. } => {
            Some(Event::Erase { image, id: id.clone() })
        }
        Event::Edit { id, .. } => state.drawing(id).and_then(|drawing| match drawing {
            Event::Exclude { region, .. } | Event::Merge { region, .. } => {
                Some(Event::Edit { image, id: id.clone(), region })
            }
            _ => None,
        }),
        Event::Erase { id, .. } => state.drawing(id),
        Event::Remove { .. } => {
            let images = images(&[state.record().clone()], root)?;
            images.into_iter().next().map(|image| Event::Add { image })
        }
        _ => None,
    })
}

/// Something of an image.
type Aspect = (String, ConflictKind);

/// What an event changes that can be disagreed on.
fn aspect(event: &Event) -> Option<Aspect> {
    let kind = match event {
        Event::Add { .. } | Event::Remove { .. } => ConflictKind::Presence,
        Event::Decide { .. } => ConflictKind::Decision,
        Event::Base { .. } => ConflictKind::Base,
        Event::Assign { .. } => ConflictKind::Part,
        Event::Edit { id, .. } | Event::Erase { id, .. } => ConflictKind::Region(id.clone()),
        _ => return None,
    };
    Some((event.image()?.to_owned(), kind))
}

/// Two logs on their way to one.
struct Joint<'a> {
    /// The log that becomes: at first that of the first.
    events: Vec<Logged>,
    first: Vec<&'a Logged>,
    second: Vec<&'a Logged>,
    /// The regions that the second has drawn, by image, each with a name that the first has not
    /// given.
    drawn: BTreeMap<(String, RegionId), RegionId>,
    /// The images as the second left them.
    left: &'a State,
    /// Images that the first has removed, and that are there again.
    brought_back: BTreeSet<String>,
}

impl<'a> Joint<'a> {
    /// Two histories, each with what its owner did since they parted.
    fn new(first: (&History, &'a [Logged]), second: (&'a History, &'a [Logged])) -> Self {
        let (events, left) = (first.0.events().to_vec(), second.0.state());
        let [first, second] = [first.1, second.1].map(|own| own.iter().collect::<Vec<_>>());
        let taken: BTreeSet<_> = first_regions(&events).collect();
        let drawn = first_regions(second.iter().copied()).map(|region| {
            let mut name = region.clone();
            while taken.contains(&name) {
                name.1.0.push('b');
            }
            (region, name.1)
        });
        let drawn = drawn.collect();
        Self { events, first, second, drawn, left, brought_back: BTreeSet::new() }
    }

    /// What both have changed, and differently in the end.
    fn conflicts(&self) -> Vec<Conflict> {
        let [first, second] = [&self.first, &self.second].map(|events| last_changes(events));
        let mut conflicts: Vec<Conflict> = second
            .iter()
            .filter(|((image, kind), _)| !self.is_own_region(image, kind))
            .filter_map(|(aspect, &second)| {
                let first = *first.get(aspect)?;
                let conflict = || Conflict {
                    image: aspect.0.clone(),
                    kind: aspect.1.clone(),
                    first: first.clone(),
                    second: second.clone(),
                };
                (first.event != second.event).then(conflict)
            })
            .collect();
        conflicts.extend(self.removed_under_the_other());
        conflicts
    }

    /// An image that one has removed, and about which the other has done something.
    fn removed_under_the_other(&self) -> Vec<Conflict> {
        let find = |removing: &[&Logged], other: &[&'a Logged]| {
            let removed = removing.iter().filter_map(|logged| match &logged.event {
                Event::Remove { image } => Some((image.clone(), (*logged).clone())),
                _ => None,
            });
            let touched = removed.filter_map(|(image, removal)| {
                let about = |logged: &&&Logged| {
                    logged.event.image() == Some(image.as_str())
                        && !matches!(logged.event, Event::Remove { .. } | Event::Add { .. })
                };
                let last = other.iter().rfind(about)?;
                Some((image, removal, (*last).clone()))
            });
            touched.collect::<Vec<_>>()
        };
        let kind = ConflictKind::Presence;
        let by_first = find(&self.first, &self.second)
            .into_iter()
            .map(|(image, first, second)| Conflict { image, kind: kind.clone(), first, second });
        let by_second = find(&self.second, &self.first)
            .into_iter()
            .map(|(image, second, first)| Conflict { image, kind: kind.clone(), first, second });
        by_first.chain(by_second).collect()
    }

    fn is_own_region(&self, image: &str, kind: &ConflictKind) -> bool {
        match kind {
            ConflictKind::Region(id) => self.drawn.contains_key(&(image.to_owned(), id.clone())),
            _ => false,
        }
    }

    /// Appends what the second did, as far as the conflicts leave it in force.
    fn append_second(
        &mut self,
        conflicts: &[(Conflict, Resolution)],
        root: &Path,
    ) -> Result<(), SessionError> {
        let lost: BTreeSet<Aspect> = conflicts
            .iter()
            .filter(|(_, resolution)| *resolution != Resolution::Second)
            .map(|(conflict, _)| (conflict.image.clone(), conflict.kind.clone()))
            .collect();
        let mut state = self.state(root)?;
        for (conflict, _) in conflicts.iter().filter(|(_, word)| *word == Resolution::Second) {
            self.bring_back(conflict, &mut state, root)?;
        }
        for logged in self.second.clone() {
            let mut event = self.renamed(&logged.event);
            let presence =
                || (logged.event.image().unwrap_or_default().to_owned(), ConflictKind::Presence);
            let loses = aspect(&logged.event).is_some_and(|aspect| lost.contains(&aspect))
                || lost.contains(&presence())
                || self.brought_back.contains(&presence().0);
            let next =
                Logged { number: self.events.len() as u64, event: event.clone(), ..logged.clone() };
            // An event that has lost its object, such as a region that the first has erased, is kept
            // as overruled too.
            if loses || state.apply(&next, root).is_err() {
                event = Event::Overruled { event: Box::new(event) };
            }
            self.events.push(Logged { event, ..next });
        }
        for (conflict, resolution) in conflicts {
            if *resolution == Resolution::Open {
                self.append_open(conflict, &mut state, root)?;
            }
        }
        Ok(())
    }

    /// If the first has removed an image and the second's word counts, the image as the second left
    /// it. What the second did to it is in that, and stays in the log as overruled.
    fn bring_back(
        &mut self,
        conflict: &Conflict,
        state: &mut State,
        root: &Path,
    ) -> Result<(), SessionError> {
        let removed = matches!(conflict.first.event, Event::Remove { .. });
        let Some(image) = self.left.image(&conflict.image).filter(|_| removed) else {
            return Ok(());
        };
        for image in images(&[image.record().clone()], root)? {
            let number = self.events.len() as u64;
            let event = Event::Add { image };
            let logged = Logged { number, event, why: None, ..conflict.second.clone() };
            state.apply(&logged, root)?;
            self.events.push(logged);
        }
        self.brought_back.insert(conflict.image.clone());
        Ok(())
    }

    /// What leaves a conflict open, in the name of the second and at the time of their event.
    fn append_open(
        &mut self,
        conflict: &Conflict,
        state: &mut State,
        root: &Path,
    ) -> Result<(), SessionError> {
        let image = || conflict.image.clone();
        if state.image(&conflict.image).is_none() {
            return Ok(());
        }
        let mut events = vec![Event::Note { image: image(), text: remark(conflict) }];
        if conflict.kind == ConflictKind::Decision {
            events.push(Event::Decide { image: image(), decision: Decision::Undecided });
        }
        for event in events {
            let number = self.events.len() as u64;
            let logged = Logged { number, event, why: None, ..conflict.second.clone() };
            state.apply(&logged, root)?;
            self.events.push(logged);
        }
        Ok(())
    }

    /// What the events so far amount to.
    fn state(&self, root: &Path) -> Result<State, SessionError> {
        let mut timeline = Timeline::new();
        for logged in &self.events {
            timeline.push(logged.clone(), root)?;
        }
        Ok(timeline.state().clone())
    }

    /// An event of the second, whose own regions get names that the first has not given.
    fn renamed(&self, event: &Event) -> Event {
        let mut event = event.clone();
        if let Event::Exclude { image, id, .. }
        | Event::Merge { image, id, .. }
        | Event::Edit { image, id, .. }
        | Event::Erase { image, id } = &mut event
            && let Some(name) = self.drawn.get(&(image.clone(), id.clone()))
        {
            id.clone_from(name);
        }
        event
    }
}

/// The regions that events draw first, by image.
fn first_regions<'a>(
    events: impl IntoIterator<Item = &'a Logged>,
) -> impl Iterator<Item = (String, RegionId)> {
    events.into_iter().filter_map(|logged| match &logged.event {
        Event::Exclude { image, id, .. } | Event::Merge { image, id, .. } => {
            Some((image.clone(), id.clone()))
        }
        _ => None,
    })
}

/// The last event that changes each thing.
fn last_changes<'a>(events: &[&'a Logged]) -> BTreeMap<Aspect, &'a Logged> {
    events.iter().filter_map(|logged| Some((aspect(&logged.event)?, *logged))).collect()
}

fn remark(conflict: &Conflict) -> String {
    let what = match &conflict.kind {
        ConflictKind::Presence => "whether the image stays".to_owned(),
        ConflictKind::Decision => "whether to use the image".to_owned(),
        ConflictKind::Base => "the base segmentation".to_owned(),
        ConflictKind::Part => "the part of the split".to_owned(),
        ConflictKind::Region(id) => format!("region {id}"),
    };
    format!("{} and {} disagree on {what}", conflict.first.who, conflict.second.who)
}
