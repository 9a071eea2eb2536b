//! What happens in a session.

use segmenter_core::Region;
use serde::{Deserialize, Serialize};

use crate::{Decision, MergeRule, Part, entry::Entry};

/// Which region of an image is meant: a name that stays the same however often the region is edited.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RegionId(pub String);

impl std::fmt::Display for RegionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that happened in a session, as it stands in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Event {
    /// The session began with these images.
    Begin {
        /// The version of the log.
        version: u32,
        /// The images, in order.
        images: Vec<Image>,
    },
    /// An image joined the set.
    Add {
        /// The image.
        image: Image,
    },
    /// An image left the set, with all that was decided for it.
    Remove {
        /// The name of the image.
        image: String,
    },
    /// It was decided whether an image is used.
    Decide {
        /// The name of the image.
        image: String,
        /// What was decided.
        decision: Decision,
    },
    /// A region was excluded.
    Exclude {
        /// The name of the image.
        image: String,
        /// What the region is called.
        id: RegionId,
        /// Where nothing counts.
        region: Region,
        /// The suggestion that was accepted, if it was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        suggestion: Option<String>,
    },
    /// Another segmentation was given a say inside a region.
    Merge {
        /// The name of the image.
        image: String,
        /// What the region is called.
        id: RegionId,
        /// The number of the other segmentation.
        from: usize,
        /// What becomes of a voxel.
        #[serde(default)]
        rule: MergeRule,
        /// Where.
        region: Region,
    },
    /// A region was drawn anew.
    Edit {
        /// The name of the image.
        image: String,
        /// Which region.
        id: RegionId,
        /// Where it is now.
        region: Region,
    },
    /// A region was taken away.
    Erase {
        /// The name of the image.
        image: String,
        /// Which region.
        id: RegionId,
    },
    /// The segmentation was chosen that counts outside of the regions to merge.
    Base {
        /// The name of the image.
        image: String,
        /// The number of the segmentation.
        base: usize,
    },
    /// Something was remarked.
    Note {
        /// The name of the image.
        image: String,
        /// What.
        text: String,
    },
    /// An image was given to a part of the split, or to none.
    Assign {
        /// The name of the image.
        image: String,
        /// The part.
        part: Option<Part>,
    },
    /// The last event that still counted was taken back.
    Undo {
        /// The number of that event.
        event: u64,
    },
    /// The last event that was taken back counts again.
    Redo {
        /// The number of that event.
        event: u64,
    },
    /// An event of another log lost against one of this when the two were joined. It changes
    /// nothing, and is kept for whoever asks later.
    Overruled {
        /// That event.
        event: Box<Self>,
    },
}

impl Event {
    /// The name of the image that the event is about, if it is about one.
    #[must_use]
    pub fn image(&self) -> Option<&str> {
        match self {
            Self::Begin { .. } | Self::Undo { .. } | Self::Redo { .. } => None,
            Self::Add { image } => Some(image.name()),
            Self::Overruled { event } => event.image(),
            Self::Remove { image }
            | Self::Decide { image, .. }
            | Self::Exclude { image, .. }
            | Self::Merge { image, .. }
            | Self::Edit { image, .. }
            | Self::Erase { image, .. }
            | Self::Base { image, .. }
            | Self::Note { image, .. }
            | Self::Assign { image, .. } => Some(image),
        }
    }

    /// Whether the event can be taken back.
    #[must_use]
    pub fn can_be_undone(&self) -> bool {
        !matches!(
            self,
            Self::Begin { .. } | Self::Undo { .. } | Self::Redo { .. } | Self::Overruled { .. }
        )
    }
}

/// An image as it stands in the log: its name, and its files below the root of the session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Image(pub(crate) Entry);

impl Image {
    /// The name of the image.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }
}

/// A line of the log: what happened, when, by whom and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logged {
    /// The number of the event, from 0.
    pub number: u64,
    /// When it happened, as RFC 3339 in UTC.
    pub time: String,
    /// Who did it.
    pub who: String,
    /// Why, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What happened.
    pub event: Event,
}
