//! The plugin's choice of channels, which is the same for all images.

use serde::{Deserialize, Serialize};

use crate::Record;

/// Which channel of each file is meant, counted from 0. `None` is all channels of the raw image, and
/// the only channel of a segmentation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Channels {
    /// Of the raw image.
    pub raw: Option<usize>,
    /// Of the first segmentation.
    pub seg1: Option<usize>,
    /// Of the second segmentation.
    pub seg2: Option<usize>,
}

impl Channels {
    /// The channels that are meant in a record.
    pub(super) fn of(record: &Record) -> Self {
        let channel = |at: usize| record.segmentations.get(at).and_then(|seg| seg.channel());
        Self { raw: record.raw.channel(), seg1: channel(0), seg2: channel(1) }
    }

    /// The same record, of whose files these channels are meant.
    #[must_use]
    pub fn choose(self, mut record: Record) -> Record {
        record.raw = record.raw.with_channel(self.raw);
        for (segmentation, channel) in record.segmentations.iter_mut().zip([self.seg1, self.seg2]) {
            *segmentation = segmentation.clone().with_channel(channel);
        }
        record
    }
}
