//! What the events of a log amount to.

use super::{Event, Image, Logged, Refusal, RegionId};
use crate::{CurationSet, Merge, Part, Record};

/// The images of a session and everything that was decided, drawn and remarked, after some events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    images: Vec<ImageState>,
}

/// An image of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageState {
    record: Record,
    excluded: Vec<RegionId>,
    merged: Vec<RegionId>,
    notes: Vec<Note>,
    part: Option<Part>,
    events: Vec<u64>,
}

/// Something that was remarked about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When, as RFC 3339 in UTC.
    pub time: String,
    /// By whom.
    pub who: String,
    /// What.
    pub text: String,
}

impl ImageState {
    fn new(number: u64, image: &Image, root: &std::path::Path) -> Self {
        let record = image.0.clone().into_record(root);
        let ids = |from: usize, count: usize| {
            (from..from + count).map(|at| RegionId(format!("{number}-{at}"))).collect()
        };
        let (excluded, merged) = (record.exclude.len(), record.merges.len());
        Self {
            excluded: ids(0, excluded),
            merged: ids(excluded, merged),
            record,
            notes: Vec::new(),
            part: None,
            events: Vec::new(),
        }
    }

    /// The name of the image.
    #[must_use]
    pub fn name(&self) -> &str {
        self.record.name()
    }

    /// The image's files, and what was decided and drawn.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What the excluded regions are called, in the order of [`Record::exclude_regions`].
    #[must_use]
    pub fn exclude_ids(&self) -> &[RegionId] {
        &self.excluded
    }

    /// What the regions to merge are called, in the order of [`Record::merges`].
    #[must_use]
    pub fn merge_ids(&self) -> &[RegionId] {
        &self.merged
    }

    /// What was remarked, oldest first.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The part of the split that the image was given to.
    #[must_use]
    pub fn part(&self) -> Option<Part> {
        self.part
    }

    /// The numbers of the events about this image that count, oldest first.
    #[must_use]
    pub fn events(&self) -> &[u64] {
        &self.events
    }

    /// The event that draws a region as it is now.
    pub(super) fn drawing(&self, id: &RegionId) -> Option<Event> {
        let (image, id) = (self.name().to_owned(), id.clone());
        if let Some(at) = self.excluded.iter().position(|other| *other == id) {
            let region = self.record.exclude.get(at)?.clone();
            return Some(Event::Exclude { image, id, region, suggestion: None });
        }
        let at = self.merged.iter().position(|other| *other == id)?;
        let Merge { from, rule, region } = self.record.merges.get(at)?.clone();
        Some(Event::Merge { image, id, from, rule, region })
    }

    fn no_region(&self, id: &RegionId) -> Refusal {
        Refusal::NoRegion { image: self.name().to_owned(), id: id.clone() }
    }

    fn has_region(&self, id: &RegionId) -> bool {
        self.excluded.contains(id) || self.merged.contains(id)
    }

    fn new_region(&self, id: &RegionId) -> Result<(), Refusal> {
        if self.has_region(id) {
            return Err(Refusal::SameRegion { image: self.name().to_owned(), id: id.clone() });
        }
        Ok(())
    }

    fn apply(&mut self, logged: &Logged, event: &Event) -> Result<(), Refusal> {
        match event {
            Event::Decide { decision, .. } => self.record.decide(decision.clone()),
            Event::Exclude { id, region, .. } => {
                self.new_region(id)?;
                self.record.exclude(region.clone());
                self.excluded.push(id.clone());
            }
            Event::Merge { id, from, rule, region, .. } => {
                self.new_region(id)?;
                self.record.merge_from(*from, *rule, region.clone())?;
                self.merged.push(id.clone());
            }
            Event::Edit { id, region, .. } => {
                let drawn = self.region_mut(id).ok_or_else(|| Refusal::NoRegion {
                    image: logged.event.image().unwrap_or_default().to_owned(),
                    id: id.clone(),
                })?;
                *drawn = region.clone();
            }
            Event::Erase { id, .. } => self.erase(id)?,
            Event::Base { base, .. } => self.record.set_base(*base)?,
            Event::Note { text, .. } => {
                let (time, who) = (logged.time.clone(), logged.who.clone());
                self.notes.push(Note { time, who, text: text.clone() });
            }
            Event::Assign { part, .. } => self.part = *part,
            _ => {}
        }
        Ok(())
    }

    fn region_mut(&mut self, id: &RegionId) -> Option<&mut segmenter_core::Region> {
        if let Some(at) = self.excluded.iter().position(|other| other == id) {
            return self.record.exclude.get_mut(at);
        }
        let at = self.merged.iter().position(|other| other == id)?;
        self.record.merges.get_mut(at).map(|Merge { region, .. }| region)
    }

    fn erase(&mut self, id: &RegionId) -> Result<(), Refusal> {
        if let Some(at) = self.excluded.iter().position(|other| other == id) {
            self.excluded.remove(at);
            self.record.exclude.remove(at);
            return Ok(());
        }
        let at = self.merged.iter().position(|other| other == id);
        let at = at.ok_or_else(|| self.no_region(id))?;
        self.merged.remove(at);
        self.record.merges.remove(at);
        Ok(())
    }
}

impl State {
    /// The images, in order.
    #[must_use]
    pub fn images(&self) -> &[ImageState] {
        &self.images
    }

    /// The image of this name.
    #[must_use]
    pub fn image(&self, name: &str) -> Option<&ImageState> {
        self.images.iter().find(|image| image.name() == name)
    }

    /// The images and what was decided for each, for loading, exporting and saving.
    #[must_use]
    pub fn set(&self) -> CurationSet {
        CurationSet::new(self.images.iter().map(|image| image.record.clone()))
    }

    /// What the state becomes by one more event. If it is refused, nothing has changed.
    pub(super) fn apply(&mut self, logged: &Logged, root: &std::path::Path) -> Result<(), Refusal> {
        match &logged.event {
            Event::Begin { images, .. } => {
                for image in images {
                    self.add(logged.number, image, root)?;
                }
            }
            Event::Add { image } => self.add(logged.number, image, root)?,
            Event::Remove { image } => {
                let at = self.position(image)?;
                self.images.remove(at);
            }
            Event::Undo { .. } | Event::Redo { .. } | Event::Overruled { .. } => {}
            event => {
                let at = self.position(event.image().unwrap_or_default())?;
                self.images[at].apply(logged, event)?;
                self.images[at].events.push(logged.number);
            }
        }
        Ok(())
    }

    fn add(&mut self, number: u64, image: &Image, root: &std::path::Path) -> Result<(), Refusal> {
        if self.image(image.name()).is_some() {
            return Err(Refusal::SameImage { image: image.name().to_owned() });
        }
        self.images.push(ImageState::new(number, image, root));
        Ok(())
    }

    fn position(&self, image: &str) -> Result<usize, Refusal> {
        let found = self.images.iter().position(|other| other.name() == image);
        found.ok_or_else(|| Refusal::NoImage { image: image.to_owned() })
    }
}
