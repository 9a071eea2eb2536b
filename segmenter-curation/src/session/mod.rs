//! A person's work on a data set, kept as it happens.
//!
//! A [`Session`] is driven by whatever shows images to a person. Each call that decides, draws or
//! remarks something becomes an [`Event`]: a line of a log, which is on disk before the call returns.
//! Nothing is lost in a crash, everything can be taken back, and who did what, when and why stays in
//! the log. What the events amount to is the [`State`].
//!
//! ```
//! use ndarray::Array2;
//! use segmenter_core::{Mask2, Region, Stack2};
//! use segmenter_curation::{Decision, Pairing, Session, session::Filter};
//!
//! let folder = tempfile::tempdir()?;
//! let root = folder.path();
//! for name in ["cell_1.tif", "cell_2.tif"] {
//!     Stack2::new(Array2::<u16>::zeros((64, 64))).save(root.join("raw").join(name))?;
//!     Mask2::all([64, 64]).save(root.join("seg").join(name))?;
//! }
//! let pairs = Pairing::new(root.join("raw"), root.join("seg")).pairs()?.complete()?;
//!
//! let log = root.join("session.jsonl");
//! let mut session = Session::create(&log, root, "ana", pairs)?;
//! session.decide("cell_1", Decision::Use)?;
//! let debris = Region::polygon([(12.0, 30.5), (40.0, 28.0), (37.5, 61.0)])?;
//! session.because("a hair").exclude("cell_1", debris)?;
//! session.undo()?;
//! drop(session); // or a power cut
//!
//! let mut session = Session::open(&log, root, "ana")?;
//! assert_eq!(session.current().map(|image| image.name()), Some("cell_2"));
//! session.redo()?;
//! assert_eq!(session.state().image("cell_1").unwrap().record().exclude_regions().len(), 1);
//! assert_eq!(session.images(&Filter::Undecided).count(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The log
//!
//! JSON Lines. The first line lists the images, with paths below the root; each line has a number, the
//! time, who, and a CRC-32 of itself. A last line without its end was being written when the program
//! died: it was never acknowledged, and is kept beside the log and told by [`Session::torn`]. Anything
//! else that is wrong is an error that names the line, and [`salvage`] rescues what is before it.

mod agreement;
mod error;
mod event;
mod join;
mod lock;
mod log;
mod salvage;
mod state;
mod timeline;
mod view;

use std::{
    fmt,
    io::Write,
    path::{Path, PathBuf},
    time::SystemTime,
};

use segmenter_core::{
    Region,
    io::{Existing, write_whole},
};

pub use self::{
    agreement::{Agreement, ImageAgreement, agreement, kappa},
    error::{Refusal, SessionError},
    event::{Event, Image, Logged, RegionId},
    join::{Conflict, ConflictKind, Joined, Resolution, join},
    log::Torn,
    salvage::{Salvaged, salvage},
    state::{ImageState, Note, State},
    view::{Filter, Progress},
};
use self::{
    lock::Lock,
    log::{Contents, LogFile},
    timeline::Timeline,
};
use crate::{Decision, MergeRule, Part, Record, entry::Entry, path};

/// The version of the log that this code writes, and the only one that it reads.
const VERSION: u32 = 1;

/// A session that is open for writing. See the [module](self).
pub struct Session {
    root: PathBuf,
    who: String,
    why: Option<String>,
    clock: Box<dyn Fn() -> SystemTime + Send>,
    log: LogFile,
    timeline: Timeline,
    torn: Option<Torn>,
    cursor: usize,
    _lock: Lock,
}

impl Session {
    /// Begins a session over images whose files are below a root, and its log, which is not there yet.
    ///
    /// # Errors
    /// If the log is there already, or can't be written; if files are not below the root, or two
    /// images have the same name.
    pub fn create<R: Into<Record>>(
        path: impl AsRef<Path>,
        root: impl AsRef<Path>,
        who: impl Into<String>,
        images: impl IntoIterator<Item = R>,
    ) -> Result<Self, SessionError> {
        let (path, root, who) = (path.as_ref(), root.as_ref(), who.into());
        let records: Vec<Record> = images.into_iter().map(Into::into).collect();
        let images = self::images(&records, root)?;
        let event = Event::Begin { version: VERSION, images };
        let time = time(SystemTime::now());
        let begin = Logged { number: 0, time, who: who.clone(), why: None, event };
        write_log(path, root, &[begin])?;
        Self::open(path, root, who)
    }

    /// Continues a session whose images are below this root now.
    ///
    /// # Errors
    /// If somebody else is writing the log, it can't be read or is damaged, or it is of another
    /// version.
    pub fn open(
        path: impl AsRef<Path>,
        root: impl AsRef<Path>,
        who: impl Into<String>,
    ) -> Result<Self, SessionError> {
        let (path, root, who) = (path.as_ref(), root.as_ref(), who.into());
        let lock = Lock::take(path, &who)?;
        let (log, events, torn) = LogFile::open(path)?;
        let timeline = replay(events, path, root)?;
        let mut session = Self {
            root: root.to_owned(),
            who,
            why: None,
            clock: Box::new(SystemTime::now),
            log,
            timeline,
            torn,
            cursor: 0,
            _lock: lock,
        };
        let undecided = |image: &ImageState| *image.record().decision() == Decision::Undecided;
        session.cursor = session.state().images().iter().position(undecided).unwrap_or(0);
        Ok(session)
    }

    /// The same session, which takes the time from here.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> SystemTime + Send + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// What a crash had left of a last event that was not acknowledged, if it had.
    #[must_use]
    pub fn torn(&self) -> Option<&Torn> {
        self.torn.as_ref()
    }

    /// What the events amount to.
    #[must_use]
    pub fn state(&self) -> &State {
        self.timeline.state()
    }

    /// All events, oldest first, also those that were taken back.
    #[must_use]
    pub fn events(&self) -> &[Logged] {
        self.timeline.events()
    }

    /// Says why the next event happens.
    pub fn because(&mut self, why: impl Into<String>) -> &mut Self {
        self.why = Some(why.into());
        self
    }

    /// Decides whether an image is used.
    ///
    /// # Errors
    /// If there is no such image, or the event can't be written.
    pub fn decide(&mut self, image: &str, decision: Decision) -> Result<(), SessionError> {
        self.happen(Event::Decide { image: image.to_owned(), decision })
    }

    /// Excludes what is inside a region, and tells what the region is called.
    ///
    /// # Errors
    /// If there is no such image, or the event can't be written.
    pub fn exclude(&mut self, image: &str, region: Region) -> Result<RegionId, SessionError> {
        self.exclude_suggested(image, region, None)
    }

    /// Excludes a region that a program suggested, in the words of the suggestion.
    ///
    /// # Errors
    /// If there is no such image, or the event can't be written.
    pub fn accept(
        &mut self,
        image: &str,
        region: Region,
        suggestion: impl Into<String>,
    ) -> Result<RegionId, SessionError> {
        self.exclude_suggested(image, region, Some(suggestion.into()))
    }

    fn exclude_suggested(
        &mut self,
        image: &str,
        region: Region,
        suggestion: Option<String>,
    ) -> Result<RegionId, SessionError> {
        let (id, image) = (self.new_id(), image.to_owned());
        self.happen(Event::Exclude { image, id: id.clone(), region, suggestion })?;
        Ok(id)
    }

    /// Lets a segmentation have a say inside a region, by a rule, and tells what the region is called.
    ///
    /// # Errors
    /// If there is no such image or segmentation, the segmentation is the base, or the event can't be
    /// written.
    pub fn merge(
        &mut self,
        image: &str,
        from: usize,
        rule: MergeRule,
        region: Region,
    ) -> Result<RegionId, SessionError> {
        let (id, image) = (self.new_id(), image.to_owned());
        self.happen(Event::Merge { image, id: id.clone(), from, rule, region })?;
        Ok(id)
    }

    /// Draws a region anew.
    ///
    /// # Errors
    /// If there is no such image or region, or the event can't be written.
    pub fn edit(&mut self, image: &str, id: &RegionId, region: Region) -> Result<(), SessionError> {
        self.happen(Event::Edit { image: image.to_owned(), id: id.clone(), region })
    }

    /// Takes a region away.
    ///
    /// # Errors
    /// If there is no such image or region, or the event can't be written.
    pub fn erase(&mut self, image: &str, id: &RegionId) -> Result<(), SessionError> {
        self.happen(Event::Erase { image: image.to_owned(), id: id.clone() })
    }

    /// Chooses the segmentation that counts outside of the regions to merge; see
    /// [`Record::set_base`].
    ///
    /// # Errors
    /// If there is no such image or segmentation, or the event can't be written.
    pub fn set_base(&mut self, image: &str, base: usize) -> Result<(), SessionError> {
        self.happen(Event::Base { image: image.to_owned(), base })
    }

    /// Remarks something about an image.
    ///
    /// # Errors
    /// If there is no such image, or the event can't be written.
    pub fn note(&mut self, image: &str, text: impl Into<String>) -> Result<(), SessionError> {
        self.happen(Event::Note { image: image.to_owned(), text: text.into() })
    }

    /// Gives an image to a part of the split, or to none.
    ///
    /// # Errors
    /// If there is no such image, or the event can't be written.
    pub fn assign(
        &mut self,
        image: &str,
        part: impl Into<Option<Part>>,
    ) -> Result<(), SessionError> {
        self.happen(Event::Assign { image: image.to_owned(), part: part.into() })
    }

    /// Adds an image to the set.
    ///
    /// # Errors
    /// If there is one of that name, its files are not below the root, or the event can't be written.
    pub fn add(&mut self, image: impl Into<Record>) -> Result<(), SessionError> {
        for image in images(&[image.into()], &self.root)? {
            self.happen(Event::Add { image })?;
        }
        Ok(())
    }

    /// Removes an image from the set, with all that was decided for it. No file is touched.
    ///
    /// # Errors
    /// If there is no such image, or the event can't be written.
    pub fn remove(&mut self, image: &str) -> Result<(), SessionError> {
        self.happen(Event::Remove { image: image.to_owned() })
    }

    /// Takes back the last event that counts, whoever's it is, and tells which; `None` if there is
    /// none. Taking back is an event itself, and stays in the log with what it took back.
    ///
    /// # Errors
    /// If the event can't be written.
    pub fn undo(&mut self) -> Result<Option<Logged>, SessionError> {
        let Some(last) = self.timeline.last_counting().cloned() else { return Ok(None) };
        self.happen(Event::Undo { event: last.number })?;
        Ok(Some(last))
    }

    /// Brings back the last event that was taken back, and tells which; `None` if there is none, or
    /// something new has happened since.
    ///
    /// # Errors
    /// If the event can't be written.
    pub fn redo(&mut self) -> Result<Option<Logged>, SessionError> {
        let Some(last) = self.timeline.last_undone().cloned() else { return Ok(None) };
        self.happen(Event::Redo { event: last.number })?;
        Ok(Some(last))
    }

    /// Takes an event in, first into memory, where it is refused if it contradicts those before it,
    /// then into the log.
    fn happen(&mut self, event: Event) -> Result<(), SessionError> {
        let logged = Logged {
            number: self.timeline.next_number(),
            time: time((self.clock)()),
            who: self.who.clone(),
            why: self.why.take(),
            event,
        };
        self.timeline.push(logged.clone(), &self.root)?;
        if let Err(error) = self.log.append(&logged) {
            self.timeline = self.timeline.without_last(&self.root)?;
            return Err(error);
        }
        Ok(())
    }

    /// The number of the event that draws a region is what the region is called.
    fn new_id(&self) -> RegionId {
        RegionId(self.timeline.next_number().to_string())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut session = f.debug_struct("Session");
        session.field("log", &self.log).field("who", &self.who).field("cursor", &self.cursor);
        session.field("events", &self.events().len()).finish_non_exhaustive()
    }
}

/// A session that is only looked at: also while somebody else is writing it.
#[derive(Clone, Debug)]
pub struct History {
    timeline: Timeline,
    torn: Option<Torn>,
}

impl History {
    /// Reads the log of a session whose images are below this root. Nothing is written.
    ///
    /// # Errors
    /// If the log can't be read or is damaged, or it is of another version.
    pub fn open(path: impl AsRef<Path>, root: impl AsRef<Path>) -> Result<Self, SessionError> {
        let path = path.as_ref();
        let Contents { events, end, torn } = Contents::read(path)?;
        let timeline = replay(events, path, root.as_ref())?;
        Ok(Self { timeline, torn: torn.map(|_| Torn { byte: end, kept: None }) })
    }

    /// What the events amount to.
    #[must_use]
    pub fn state(&self) -> &State {
        self.timeline.state()
    }

    /// All events, oldest first, also those that were taken back.
    #[must_use]
    pub fn events(&self) -> &[Logged] {
        self.timeline.events()
    }

    /// An event that is being written, or that a crash has left unfinished, if there is one.
    #[must_use]
    pub fn torn(&self) -> Option<&Torn> {
        self.torn.as_ref()
    }

    fn timeline(&self) -> &Timeline {
        &self.timeline
    }
}

/// Goes through the events of a log again.
fn replay(events: Vec<Logged>, path: &Path, root: &Path) -> Result<Timeline, SessionError> {
    check_beginning(&events, path, root)?;
    let mut timeline = Timeline::new();
    for logged in events {
        let line = timeline.events().len() + 1;
        timeline.push(logged, root).map_err(|source| SessionError::Contradiction {
            path: path.to_owned(),
            line,
            source,
        })?;
    }
    Ok(timeline)
}

/// A log begins with a list of images, of a version that is known, all below the root.
fn check_beginning(events: &[Logged], path: &Path, root: &Path) -> Result<(), SessionError> {
    let Some(Event::Begin { version, .. }) = events.first().map(|logged| &logged.event) else {
        return Err(SessionError::NotASession { path: path.to_owned() });
    };
    if *version != VERSION {
        let (path, found) = (path.to_owned(), *version);
        return Err(SessionError::Version { path, found, known: VERSION });
    }
    let images = events.iter().flat_map(|logged| match &logged.event {
        Event::Begin { images, .. } => images.as_slice(),
        Event::Add { image } => std::slice::from_ref(image),
        _ => &[],
    });
    let files = images.flat_map(|image| image.0.files());
    let files: Vec<PathBuf> =
        files.filter(|file| path::join(root, file).is_none()).map(PathBuf::from).collect();
    if files.is_empty() {
        return Ok(());
    }
    Err(SessionError::OutsideRoot { root: root.to_owned(), files })
}

/// Records as they stand in a log.
fn images(records: &[Record], root: &Path) -> Result<Vec<Image>, SessionError> {
    let entries = Entry::all(records, root)
        .map_err(|files| SessionError::OutsideRoot { root: root.to_owned(), files })?;
    Ok(entries.into_iter().map(Image).collect())
}

/// Writes a log of these events, whole or not at all, unless there is one.
fn write_log(path: &Path, root: &Path, events: &[Logged]) -> Result<(), SessionError> {
    let mut timeline = Timeline::new();
    for logged in events {
        timeline.push(logged.clone(), root)?;
    }
    write_whole(path, Existing::Refuse, |file| {
        events.iter().try_for_each(|logged| file.write_all(log::encode(logged)?.as_bytes()))
    })?;
    Ok(())
}

/// A point in time as RFC 3339 in UTC, to the millisecond.
fn time(now: SystemTime) -> String {
    humantime::format_rfc3339_millis(now).to_string()
}

#[cfg(test)]
mod tests;
