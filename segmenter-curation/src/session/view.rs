//! Which images are looked at.

use super::{ImageState, Logged, Session};
use crate::{Decision, Part};

/// Which images are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Filter {
    /// All.
    All,
    /// Those for which nothing is decided yet.
    Undecided,
    /// Those that are used.
    Used,
    /// Those that are not used.
    NotUsed,
    /// Those about which something was remarked.
    WithNotes,
    /// Those with a region of either kind.
    WithRegions,
    /// Those about which somebody has decided, drawn or remarked something that counts.
    By(String),
    /// Those in a part of the split.
    In(Part),
}

/// How far a session is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Number of images.
    pub images: usize,
    /// Those that are used.
    pub used: usize,
    /// Those that are not used.
    pub not_used: usize,
    /// Those for which nothing is decided yet.
    pub undecided: usize,
}

impl Session {
    /// The images that are meant, in order.
    pub fn images<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = &'a ImageState> {
        self.state().images().iter().filter(|image| self.is_meant(image, filter))
    }

    /// How many images are decided.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let images = self.state().images();
        let mut progress = Progress { images: images.len(), ..Progress::default() };
        for image in images {
            match image.record().decision() {
                Decision::Undecided => progress.undecided += 1,
                Decision::Use => progress.used += 1,
                Decision::DontUse { .. } => progress.not_used += 1,
            }
        }
        progress
    }

    /// The image that is looked at; `None` if there are none. A session that is opened again looks at
    /// the first image that is undecided.
    #[must_use]
    pub fn current(&self) -> Option<&ImageState> {
        self.state().images().get(self.cursor.min(self.state().images().len().saturating_sub(1)))
    }

    /// Looks at the next image that is meant, and tells which. At the last one nothing changes.
    pub fn forward(&mut self, filter: &Filter) -> Option<&ImageState> {
        let mut places = self.cursor + 1..self.state().images().len();
        self.cursor = places.find(|&place| self.is_meant_at(place, filter))?;
        self.current()
    }

    /// Looks at the previous image that is meant, and tells which. At the first one nothing changes.
    pub fn back(&mut self, filter: &Filter) -> Option<&ImageState> {
        let mut places = (0..self.cursor).rev();
        self.cursor = places.find(|&place| self.is_meant_at(place, filter))?;
        self.current()
    }

    /// Looks at the image of this name; `None` if there is none, and nothing changes.
    pub fn jump(&mut self, name: &str) -> Option<&ImageState> {
        self.cursor = self.state().images().iter().position(|image| image.name() == name)?;
        self.current()
    }

    fn is_meant_at(&self, place: usize, filter: &Filter) -> bool {
        self.state().images().get(place).is_some_and(|image| self.is_meant(image, filter))
    }

    fn is_meant(&self, image: &ImageState, filter: &Filter) -> bool {
        let record = image.record();
        match filter {
            Filter::All => true,
            Filter::Undecided => *record.decision() == Decision::Undecided,
            Filter::Used => *record.decision() == Decision::Use,
            Filter::NotUsed => matches!(record.decision(), Decision::DontUse { .. }),
            Filter::WithNotes => !image.notes().is_empty(),
            Filter::WithRegions => !image.exclude_ids().is_empty() || !image.merge_ids().is_empty(),
            Filter::By(who) => self.counting_events(image).any(|logged| logged.who == *who),
            Filter::In(part) => image.part() == Some(*part),
        }
    }

    /// The events about an image that count, oldest first.
    fn counting_events(&self, image: &ImageState) -> impl Iterator<Item = &Logged> {
        let places = image.events().iter().filter_map(|&number| usize::try_from(number).ok());
        places.filter_map(|place| self.events().get(place))
    }

    /// All events about an image, oldest first, also those that were taken back.
    pub fn history<'a>(&'a self, image: &'a str) -> impl Iterator<Item = &'a Logged> {
        self.events().iter().filter(move |logged| logged.event.image() == Some(image))
    }
}
