//! What was decided for one image.

use std::path::{Path, PathBuf};

use segmenter_core::{
    ExtentMismatch, Mask, NonFinite, Region, Sample, SampleError, Space,
    io::{OpenError, OpenOptions},
};
use serde::{Deserialize, Serialize};

use crate::{Excluded, Pair};

/// One image, its segmentations, and what was decided and drawn for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub(crate) name: String,
    pub(crate) raw: PathBuf,
    pub(crate) seg1: PathBuf,
    pub(crate) seg2: Option<PathBuf>,
    pub(crate) channels: Channels,
    pub(crate) base: Base,
    pub(crate) merge: Vec<Region>,
    pub(crate) exclude: Vec<Region>,
    pub(crate) decision: Decision,
}

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

/// Which segmentation counts outside of the regions to merge. Inside, it is the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// The first.
    #[default]
    Seg1,
    /// The second.
    Seg2,
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

/// Something needs a second segmentation, and the image has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` has no second segmentation to merge with or to start from")]
pub struct NoSecondSegmentation {
    /// The name of the image.
    pub name: String,
}

impl Record {
    /// A record of one segmentation, named, and nothing decided.
    #[must_use]
    pub fn new(name: impl Into<String>, raw: impl Into<PathBuf>, seg1: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            raw: raw.into(),
            seg1: seg1.into(),
            seg2: None,
            channels: Channels::default(),
            base: Base::default(),
            merge: Vec::new(),
            exclude: Vec::new(),
            decision: Decision::default(),
        }
    }

    /// The same record with a second segmentation.
    #[must_use]
    pub fn with_seg2(mut self, seg2: impl Into<PathBuf>) -> Self {
        self.seg2 = Some(seg2.into());
        self
    }

    /// The same record with these channels of its files.
    #[must_use]
    pub fn with_channels(mut self, channels: Channels) -> Self {
        self.channels = channels;
        self
    }

    /// What the image is called in messages and reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The raw image.
    #[must_use]
    pub fn raw(&self) -> &Path {
        &self.raw
    }

    /// The first segmentation.
    #[must_use]
    pub fn seg1(&self) -> &Path {
        &self.seg1
    }

    /// The second segmentation, if there is one.
    #[must_use]
    pub fn seg2(&self) -> Option<&Path> {
        self.seg2.as_deref()
    }

    /// Which channel of each file is meant.
    #[must_use]
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// Which segmentation counts outside of the regions to merge.
    #[must_use]
    pub fn base(&self) -> Base {
        self.base
    }

    /// Where the other segmentation counts.
    #[must_use]
    pub fn merge_regions(&self) -> &[Region] {
        &self.merge
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

    /// Takes the other segmentation inside a region, in addition to those merged before.
    ///
    /// # Errors
    /// If there is no other.
    pub fn merge(&mut self, region: Region) -> Result<(), NoSecondSegmentation> {
        self.need_seg2()?;
        self.merge.push(region);
        Ok(())
    }

    /// Chooses the segmentation that counts outside of the regions to merge.
    ///
    /// # Errors
    /// If it is the second and there is none.
    pub fn set_base(&mut self, base: Base) -> Result<(), NoSecondSegmentation> {
        if base == Base::Seg2 {
            self.need_seg2()?;
        }
        self.base = base;
        Ok(())
    }

    /// Takes back all regions, of both kinds.
    pub fn clear_regions(&mut self) {
        self.merge.clear();
        self.exclude.clear();
    }

    fn need_seg2(&self) -> Result<(), NoSecondSegmentation> {
        match self.seg2 {
            Some(_) => Ok(()),
            None => Err(NoSecondSegmentation { name: self.name.clone() }),
        }
    }

    /// The base segmentation, and the other if there is one.
    fn segmentations(&self) -> (File<'_>, Option<File<'_>>) {
        let first = (self.seg1.as_path(), self.channels.seg1);
        let second = self.seg2.as_deref().map(|path| (path, self.channels.seg2));
        match (self.base, second) {
            (Base::Seg2, Some(second)) => (second, Some(first)),
            (_, second) => (first, second),
        }
    }
}

/// A file, and the channel of it that is meant.
type File<'a> = (&'a Path, Option<usize>);

impl From<Pair> for Record {
    fn from(pair: Pair) -> Self {
        let record = Self::new(pair.name, pair.raw, pair.seg1).with_channels(pair.channels);
        Self { seg2: pair.seg2, ..record }
    }
}

/// Why an image was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A segmentation is not as large as the raw image.
    #[error("{segmentation}: does not fit the raw image {raw}")]
    Extent {
        /// The file of the segmentation.
        segmentation: PathBuf,
        /// The file of the raw image.
        raw: PathBuf,
        /// What differs.
        source: ExtentMismatch,
    },
    /// An intensity is not a finite number.
    #[error("{path}: can't be learnt from")]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// Where, and what it is.
        source: NonFinite,
    },
    /// The parts do not make a sample.
    #[error(transparent)]
    Sample(#[from] SampleError),
}

impl Record {
    /// Opens the files and makes of them what training takes: the raw image as `f32`; as target what
    /// is above 0 in the base segmentation, and in the other inside the regions to merge; and what
    /// counts, which is all but the regions excluded. The decision makes no difference here. The
    /// sample is called by the path of its raw image, which no other image shares.
    ///
    /// # Errors
    /// If a file can't be opened or has other axes, the extents differ, or an intensity is not a
    /// finite number.
    pub fn load<S: Space>(&self) -> Result<Sample<S>, LoadError> {
        let raw = options(self.channels.raw).open_f32::<S>(&self.raw)?;
        raw.check_finite()
            .map_err(|source| LoadError::NonFinite { path: self.raw.clone(), source })?;
        let (extent, voxel_size) = (raw.extent(), raw.voxel_size());
        let target = self.target(extent)?;
        let sample = Sample::new(self.raw.display().to_string(), raw, target)?;
        if self.exclude.is_empty() {
            return Ok(sample);
        }
        let counted = Excluded::new(extent, self.exclude.clone()).with_voxel_size(voxel_size);
        Ok(sample.with_counted(counted)?)
    }

    /// The foreground after merging.
    fn target<S: Space>(&self, extent: S::Extent) -> Result<Mask<S>, LoadError> {
        let (base, other) = self.segmentations();
        let target = self.mask::<S>(base, extent)?;
        let Some(other) = other.filter(|_| !self.merge.is_empty()) else { return Ok(target) };
        let other_mask = self.mask::<S>(other, extent)?;
        let merge = |target: Mask<S>, region| target.merged_with(&other_mask, region);
        self.merge.iter().try_fold(target, merge).map_err(|source| self.extent(other.0, source))
    }

    fn mask<S: Space>(
        &self,
        (path, channel): File<'_>,
        extent: S::Extent,
    ) -> Result<Mask<S>, LoadError> {
        let mask = options(channel).open_mask::<S>(path)?;
        ExtentMismatch::check(mask.extent(), extent).map_err(|source| self.extent(path, source))?;
        Ok(mask)
    }

    fn extent(&self, segmentation: &Path, source: ExtentMismatch) -> LoadError {
        let (segmentation, raw) = (segmentation.to_owned(), self.raw.clone());
        LoadError::Extent { segmentation, raw, source }
    }
}

/// How a file is opened of which one channel, or all, are meant.
pub(crate) fn options(channel: Option<usize>) -> OpenOptions {
    let options = OpenOptions::new();
    channel.map_or(options, |channel| options.with_channel(channel))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, Axis, array};
    use segmenter_core::{Labels2, Labels3, Mask2, Mask3, Stack2, Stack3, Window, Yx, Zyx};
    use tempfile::TempDir;

    use super::*;

    fn square(from: f64, to: f64) -> Region {
        Region::polygon([(from, from), (to, from), (to, to), (from, to)]).unwrap()
    }

    /// An image of which the first segmentation is empty and the second full.
    fn volume() -> (TempDir, Record) {
        let folder = tempfile::tempdir().unwrap();
        let [raw, seg1, seg2] = ["raw.tif", "seg1.tif", "seg2.tif"].map(|n| folder.path().join(n));
        Stack3::new(Array3::<u16>::ones((4, 8, 8))).save(&raw).unwrap();
        Mask3::none([4, 8, 8]).save(&seg1).unwrap();
        Labels3::new(Array3::from_elem((4, 8, 8), 7)).save(&seg2).unwrap();
        (folder, Record::new("cell", raw, seg1).with_seg2(seg2))
    }

    fn count(source: &dyn segmenter_core::Source<Zyx, bool>) -> usize {
        let voxels = source.read(&Window::whole(source.extent())).unwrap();
        voxels.iter().filter(|&&inside| inside).count()
    }

    #[test]
    fn the_other_segmentation_counts_inside_and_nothing_counts_where_excluded() {
        let (_folder, mut record) = volume();
        record.merge(square(0.0, 1.0).through_z(0..=1)).unwrap();
        record.exclude(square(4.0, 6.0));
        let sample = record.load::<Zyx>().unwrap();
        assert_eq!(count(sample.target()), 2 * 4);
        assert_eq!(count(sample.counted().unwrap()), 4 * (64 - 9));

        record.set_base(Base::Seg2).unwrap();
        assert_eq!(count(record.load::<Zyx>().unwrap().target()), 4 * 64 - 2 * 4);
    }

    #[test]
    fn all_voxels_count_where_nothing_is_excluded() {
        let (_folder, record) = volume();
        let sample = record.load::<Zyx>().unwrap();
        assert!(sample.counted().is_none());
        assert!(sample.name().ends_with("raw.tif"), "{}", sample.name());
        assert_eq!(sample.extent(), [4, 8, 8]);
    }

    #[test]
    fn the_chosen_channels_are_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let [raw, seg] = ["raw.tif", "seg.tif"].map(|name| folder.path().join(name));
        let two = array![[[1_u8, 2, 0]], [[0, 0, 9]]];
        Stack2::from_channels(two.clone()).save(&raw).unwrap();
        Stack2::from_channels(two).save(&seg).unwrap();
        let channels = Channels { raw: Some(0), seg1: Some(1), seg2: None };
        let record = Record::new("cell", raw, seg);
        assert!(matches!(
            record.load::<Yx>().unwrap_err(),
            LoadError::Open(OpenError::ManyChannels { .. })
        ));
        let sample = record.with_channels(channels).load::<Yx>().unwrap();
        let target = sample.target().read(&Window::whole([1, 3])).unwrap();
        assert_eq!(target.index_axis(Axis(0), 0), array![[false, false, true]]);
        assert_eq!(sample.raw().channels(), 1);
    }

    #[test]
    fn a_segmentation_of_another_extent_is_named_with_its_image() {
        let folder = tempfile::tempdir().unwrap();
        let [raw, seg] = ["raw.tif", "seg.tif"].map(|name| folder.path().join(name));
        Stack2::new(array![[1_u8, 2, 0]]).save(&raw).unwrap();
        Mask2::all([1, 4]).save(&seg).unwrap();
        let error = Record::new("cell", &raw, &seg).load::<Yx>().unwrap_err();
        assert!(matches!(&error, LoadError::Extent { segmentation, .. } if *segmentation == seg));
        let error = error.to_string();
        assert!(error.contains("seg.tif") && error.contains("raw.tif"), "{error}");
    }

    #[test]
    fn a_raw_image_with_a_hole_in_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let [raw, seg] = ["raw.tif", "seg.tif"].map(|name| folder.path().join(name));
        Stack2::new(array![[1.0_f32, f32::NAN]]).save(&raw).unwrap();
        Labels2::new(array![[0, 1]]).save(&seg).unwrap();
        let error = Record::new("cell", raw, seg).load::<Yx>().unwrap_err();
        assert!(matches!(error, LoadError::NonFinite { .. }), "{error}");
    }

    #[test]
    fn one_segmentation_can_not_be_merged() {
        let mut record = Record::new("cell", "raw.tif", "seg.tif");
        let expected = NoSecondSegmentation { name: "cell".to_owned() };
        assert_eq!(record.merge(square(0.0, 1.0)), Err(expected.clone()));
        assert_eq!(record.set_base(Base::Seg2), Err(expected));
        assert_eq!(record.set_base(Base::Seg1), Ok(()));
    }
}
