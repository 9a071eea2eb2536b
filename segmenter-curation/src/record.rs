//! What was decided for one image.

use std::path::PathBuf;

use segmenter_core::Region;
use serde::{Deserialize, Serialize};

use crate::{ImagePath, MergeRule, Pair};

/// One image, its segmentations, and what was decided and drawn for it.
///
/// Segmentations are numbered from 0 in the order in which they were added. One of them, the
/// *base*, counts wherever nothing else was drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub(crate) name: String,
    pub(crate) raw: ImagePath,
    pub(crate) segmentations: Vec<ImagePath>,
    pub(crate) base: usize,
    pub(crate) merges: Vec<Merge>,
    pub(crate) exclude: Vec<Region>,
    pub(crate) decision: Decision,
}

/// A region in which another segmentation than the base has a say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// The number of the other segmentation.
    pub from: usize,
    /// What becomes of a voxel.
    #[serde(default)]
    pub rule: MergeRule,
    /// Where.
    pub region: Region,
}

/// Whether an image is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Nobody has looked yet.
    #[default]
    Undecided,
    /// The image is used.
    Use,
    /// The image is not used.
    DontUse {
        /// Why not, for whoever asks later.
        reason: String,
    },
}

/// A segmentation that can't be merged or started from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSegmentation {
    /// There is no such segmentation.
    #[error("`{name}` has no segmentation {asked}: there are {found}, counted from 0")]
    NotThere {
        /// The name of the image.
        name: String,
        /// The number asked for.
        asked: usize,
        /// How many there are.
        found: usize,
    },
    /// A region would take from the base what the base has there anyway.
    #[error(
        "segmentation {asked} of `{name}` is its base; merge from another, or choose another base"
    )]
    Base {
        /// The name of the image.
        name: String,
        /// The number asked for.
        asked: usize,
    },
}

impl Record {
    /// A record of one segmentation, named, and nothing decided.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        raw: impl Into<ImagePath>,
        segmentation: impl Into<ImagePath>,
    ) -> Self {
        Self {
            name: name.into(),
            raw: raw.into(),
            segmentations: vec![segmentation.into()],
            base: 0,
            merges: Vec::new(),
            exclude: Vec::new(),
            decision: Decision::default(),
        }
    }

    /// The same record with one more segmentation.
    #[must_use]
    pub fn with_segmentation(mut self, segmentation: impl Into<ImagePath>) -> Self {
        self.segmentations.push(segmentation.into());
        self
    }

    /// What the image is called in messages and reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The raw image.
    #[must_use]
    pub fn raw(&self) -> &ImagePath {
        &self.raw
    }

    /// The segmentations, at least one.
    #[must_use]
    pub fn segmentations(&self) -> &[ImagePath] {
        &self.segmentations
    }

    /// The number of the segmentation that counts outside of the regions to merge.
    #[must_use]
    pub fn base(&self) -> usize {
        self.base
    }

    /// Where other segmentations than the base have a say, in the order in which they were drawn: a
    /// later region is applied to what the earlier ones have made.
    #[must_use]
    pub fn merges(&self) -> &[Merge] {
        &self.merges
    }

    /// Where nothing counts.
    #[must_use]
    pub fn exclude_regions(&self) -> &[Region] {
        &self.exclude
    }

    /// Whether the image is used.
    #[must_use]
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Decides whether the image is used.
    pub fn decide(&mut self, decision: Decision) {
        self.decision = decision;
    }

    /// Excludes what is inside a region, in addition to those excluded before.
    pub fn exclude(&mut self, region: Region) {
        self.exclude.push(region);
    }

    /// Takes the other segmentation inside a region, in addition to those merged before: of two
    /// segmentations that which is not the base, of more the first that is not.
    ///
    /// # Errors
    /// If there is no other.
    pub fn merge(&mut self, region: Region) -> Result<(), InvalidSegmentation> {
        let other = usize::from(self.base == 0);
        self.merge_from(other, MergeRule::Replace, region)
    }

    /// Lets a segmentation have a say inside a region, by a rule, in addition to those merged before.
    ///
    /// # Errors
    /// If there is no such segmentation, or it is the base.
    pub fn merge_from(
        &mut self,
        from: usize,
        rule: MergeRule,
        region: Region,
    ) -> Result<(), InvalidSegmentation> {
        self.check(from)?;
        if from == self.base {
            return Err(InvalidSegmentation::Base { name: self.name.clone(), asked: from });
        }
        self.merges.push(Merge { from, rule, region });
        Ok(())
    }

    /// Chooses the segmentation that counts outside of the regions to merge. Regions that took from
    /// the new base take from the old one: inside them it is still another than outside.
    ///
    /// # Errors
    /// If there is no such segmentation.
    pub fn set_base(&mut self, base: usize) -> Result<(), InvalidSegmentation> {
        self.check(base)?;
        for merge in self.merges.iter_mut().filter(|merge| merge.from == base) {
            merge.from = self.base;
        }
        self.base = base;
        Ok(())
    }

    /// Takes back all regions, of both kinds.
    pub fn clear_regions(&mut self) {
        self.merges.clear();
        self.exclude.clear();
    }

    fn check(&self, segmentation: usize) -> Result<(), InvalidSegmentation> {
        let found = self.segmentations.len();
        if segmentation < found {
            return Ok(());
        }
        Err(InvalidSegmentation::NotThere { name: self.name.clone(), asked: segmentation, found })
    }
}

impl From<Pair> for Record {
    fn from(pair: Pair) -> Self {
        let Pair { name, raw, segmentations } = pair;
        Self { segmentations, ..Self::new(name, raw, PathBuf::new()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot() -> Region {
        Region::polygon([(0.0, 0.0)]).unwrap()
    }

    #[test]
    fn one_segmentation_can_not_be_merged() {
        let mut record = Record::new("cell", "raw.tif", "seg.tif");
        let expected = InvalidSegmentation::NotThere { name: "cell".into(), asked: 1, found: 1 };
        assert_eq!(record.merge(dot()), Err(expected.clone()));
        assert_eq!(record.set_base(1), Err(expected));
        assert_eq!(record.set_base(0), Ok(()));
    }

    #[test]
    fn regions_follow_when_the_base_changes() {
        let mut record = Record::new("cell", "raw.tif", "a.tif").with_segmentation("b.tif");
        let mut record = {
            record.merge(dot()).unwrap();
            record.with_segmentation("c.tif")
        };
        record.merge_from(2, MergeRule::Union, dot()).unwrap();
        record.set_base(1).unwrap();
        let from: Vec<usize> = record.merges().iter().map(|merge| merge.from).collect();
        assert_eq!(from, [0, 2]);
        assert!(matches!(
            record.merge_from(1, MergeRule::Replace, dot()),
            Err(InvalidSegmentation::Base { asked: 1, .. })
        ));
    }
}
