//! From what was decided to what training takes.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use ndarray::Axis;
use segmenter_core::{
    ExtentMismatch, Mask, NonFinite, ReadError, Sample, SampleError, Source, Space, Window,
    io::{ImageFile, OpenError},
};

use crate::{Excluded, MergeError, Merged, Record, UniqueIds};

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
    /// The segmentations do not make one.
    #[error("the segmentations of {raw} can't be merged")]
    Merge {
        /// The file of the raw image.
        raw: PathBuf,
        /// What differs.
        source: MergeError,
    },
    /// Voxels can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The parts do not make a sample.
    #[error(transparent)]
    Sample(#[from] SampleError),
}

impl Record {
    /// Opens the files and makes of them what training takes, in memory: the raw image as `f32`; as
    /// target what is above 0 in the base segmentation, changed inside the regions to merge; and
    /// what counts, which is all but the regions excluded. The decision makes no difference here.
    /// The sample is called by the path of its raw image, which no other image shares.
    ///
    /// # Errors
    /// If a file can't be opened or has other axes, the extents differ, or an intensity is not a
    /// finite number.
    pub fn load<S: Space>(&self) -> Result<Sample<S>, LoadError> {
        let path = || self.raw.path().to_owned();
        let raw = self.raw.options().open_f32::<S>(self.raw.path())?;
        raw.check_finite().map_err(|source| LoadError::NonFinite { path: path(), source })?;
        let merged = self.merged_mask::<S>()?;
        self.check_extent(self.base, merged.extent(), raw.extent())?;
        let voxels = merged.read(&Window::whole(merged.extent()))?;
        let target = Mask::new(voxels.remove_axis(Axis(0))).with_voxel_size(merged.voxel_size());
        self.sample(raw, target)
    }

    /// The same sample, whose parts stay in their files and are merged as they are read: for volumes
    /// that no memory holds. Intensities are not looked at, so who reads them has to check that they
    /// are finite numbers.
    ///
    /// # Errors
    /// If a file can't be opened or has other axes, or the extents differ.
    pub fn open<S: Space>(&self) -> Result<Sample<S>, LoadError> {
        let raw = self.raw.options().open_dataset(self.raw.path())?.image::<S>()?;
        let target = self.merged_mask::<S>()?;
        self.check_extent(self.base, target.extent(), raw.extent())?;
        self.sample(raw, target)
    }

    fn sample<S: Space>(
        &self,
        raw: impl Source<S, f32> + 'static,
        target: impl Source<S, bool> + 'static,
    ) -> Result<Sample<S>, LoadError> {
        let (extent, voxel_size) = (raw.extent(), raw.voxel_size());
        let sample = Sample::new(self.raw.path().display().to_string(), raw, target)?;
        if self.exclude.is_empty() {
            return Ok(sample);
        }
        Ok(sample.with_counted(self.counted::<S>(extent).with_voxel_size(voxel_size))?)
    }

    /// Which voxels of an image of this extent count: all but those in excluded regions.
    #[must_use]
    pub fn counted<S: Space>(&self, extent: S::Extent) -> Excluded<S> {
        Excluded::new(extent, self.exclude.clone())
    }

    /// What is foreground after merging, computed from the files as it is read.
    ///
    /// # Errors
    /// If a segmentation can't be opened, has other axes or several channels, or the extents differ.
    pub fn merged_mask<S: Space>(&self) -> Result<Merged<S, bool>, LoadError> {
        self.merged(|_, image| Ok(image))
    }

    /// The objects after merging, computed from the files as they are read. The ids of the base stay;
    /// those of each other segmentation that is merged are raised by the largest id of all before it,
    /// so that no two objects have the same; see [`UniqueIds`]. Where anything is merged, the base and
    /// each other segmentation are read once for that.
    ///
    /// # Errors
    /// If a segmentation can't be opened or read, has other axes or several channels, the extents
    /// differ, or there are more ids than 32 bits hold.
    pub fn merged_labels<S: Space>(&self) -> Result<Merged<S, u32>, LoadError> {
        let mut raised = BTreeMap::<usize, Arc<UniqueIds<ImageFile<S>>>>::new();
        let mut last = None;
        self.merged(|number, image: ImageFile<S>| -> Result<Arc<dyn Source<S, u32>>, LoadError> {
            if number == self.base {
                return Ok(Arc::new(image));
            }
            if let Some(known) = raised.get(&number) {
                return Ok(Arc::clone(known) as _);
            }
            let below = match last {
                Some(last) => last,
                None => UniqueIds::largest::<S>(&self.segmentation::<S>(self.base)?)?,
            };
            let image = Arc::new(UniqueIds::above(image, below)?);
            last = Some(image.last());
            raised.insert(number, Arc::clone(&image));
            Ok(image)
        })
    }

    /// The base and what is merged into it, each made of its file.
    fn merged<S: Space, T, A: Source<S, T> + 'static>(
        &self,
        mut make: impl FnMut(usize, ImageFile<S>) -> Result<A, LoadError>,
    ) -> Result<Merged<S, T>, LoadError> {
        let base = self.segmentation::<S>(self.base)?;
        let extent = base.extent();
        let mut merged = Merged::of(make(self.base, base)?);
        // Regions that follow each other and ask the same of the same file need it once.
        for merges in self.merges.chunk_by(|a, b| (a.from, a.rule) == (b.from, b.rule)) {
            let from = merges[0].from;
            let other = self.segmentation::<S>(from)?;
            self.check_extent(from, other.extent(), extent)?;
            let regions = merges.iter().map(|merge| merge.region.clone());
            merged = merged
                .with(make(from, other)?, merges[0].rule, regions)
                .map_err(|source| LoadError::Merge { raw: self.raw.path().to_owned(), source })?;
        }
        Ok(merged)
    }

    fn segmentation<S: Space>(&self, number: usize) -> Result<ImageFile<S>, LoadError> {
        let image = &self.segmentations[number];
        let dataset = image.options().open_dataset(image.path())?;
        if dataset.channels() != 1 {
            let (path, channels) = (image.path().to_owned(), dataset.channels());
            return Err(OpenError::ManyChannels { path, channels }.into());
        }
        Ok(dataset.image()?)
    }

    fn check_extent(
        &self,
        segmentation: usize,
        found: impl AsRef<[usize]>,
        expected: impl AsRef<[usize]>,
    ) -> Result<(), LoadError> {
        ExtentMismatch::check(found, expected).map_err(|source| LoadError::Extent {
            segmentation: self.segmentations[segmentation].path().to_owned(),
            raw: self.raw.path().to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, Axis, array};
    use segmenter_core::{Labels2, Labels3, Mask2, Mask3, Region, Stack2, Stack3, Window, Yx, Zyx};
    use tempfile::TempDir;

    use super::*;
    use crate::{ImagePath, MergeRule};

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
        (folder, Record::new("cell", raw, seg1).with_segmentation(seg2))
    }

    fn count(source: &dyn Source<Zyx, bool>) -> usize {
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

        record.set_base(1).unwrap();
        assert_eq!(count(record.load::<Zyx>().unwrap().target()), 4 * 64 - 2 * 4);
    }

    #[test]
    fn a_third_segmentation_has_a_say_by_its_rule() {
        let (folder, record) = volume();
        let third = folder.path().join("seg3.tif");
        Mask3::new(Array3::from_shape_fn((4, 8, 8), |(z, _, _)| z < 2)).save(&third).unwrap();
        let mut record = record.with_segmentation(third);
        record.merge(square(0.0, 3.0)).unwrap();
        record.merge_from(2, MergeRule::Subtract, square(0.0, 1.0)).unwrap();
        record.merge_from(2, MergeRule::Union, square(6.0, 7.0)).unwrap();
        let target = record.load::<Zyx>().unwrap();
        assert_eq!(count(target.target()), 4 * 16 - 2 * 4 + 2 * 4);
    }

    #[test]
    fn a_sample_that_stays_in_its_files_is_read_as_one_in_memory() {
        let (_folder, mut record) = volume();
        record.merge(square(1.0, 4.0).through_z(1..=3)).unwrap();
        record.exclude(square(2.0, 6.0));
        let (loaded, opened) = (record.load::<Zyx>().unwrap(), record.open::<Zyx>().unwrap());
        let window = Window::<Zyx>::new([0, 1, 2], [3, 6, 4]);
        assert_eq!(loaded.raw().read(&window).unwrap(), opened.raw().read(&window).unwrap());
        assert_eq!(loaded.target().read(&window).unwrap(), opened.target().read(&window).unwrap());
        let counted = |sample: &Sample<Zyx>| sample.counted().unwrap().read(&window).unwrap();
        assert_eq!(counted(&loaded), counted(&opened));
    }

    #[test]
    fn merged_objects_keep_ids_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let rows = [[1, 1, 2, 2, 0], [1, 3, 3, 0, 0], [0, 0, 0, 2, 2]];
        let [a, b, c] = rows.map(|row| {
            let path = folder.path().join(format!("{row:?}.tif"));
            Labels2::new(array![row]).save(&path).unwrap();
            path
        });
        let mut record =
            Record::new("cell", "raw.tif", a).with_segmentation(b).with_segmentation(c);
        let columns = |from: f64, to: f64| Region::polygon([(from, 0.0), (to, 0.0)]).unwrap();
        record.merge(columns(1.0, 2.0)).unwrap();
        record.merge_from(2, MergeRule::Union, columns(0.0, 4.0)).unwrap();
        record.merge(columns(0.0, 0.0)).unwrap();
        let merged = record.merged_labels::<Yx>().unwrap();
        // The base has ids up to 2, so the second's 1 and 3 are 3 and 5, and the third's 2 is 7.
        let ids = merged.read(&Window::<Yx>::whole([1, 5])).unwrap();
        assert_eq!(ids, array![[[3, 5, 5, 2, 7]]]);
    }

    #[test]
    fn objects_stay_apart_also_behind_a_segmentation_without_any() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, c] =
            [("a", [4, 4, 0]), ("b", [0, 0, 0]), ("c", [0, 0, 1])].map(|(name, row)| {
                let path = folder.path().join(name).with_extension("tif");
                Labels2::new(array![row]).save(&path).unwrap();
                path
            });
        let mut record =
            Record::new("cell", "raw.tif", a).with_segmentation(b).with_segmentation(c);
        let all = || Region::polygon([(0.0, 0.0), (2.0, 0.0)]).unwrap();
        record.merge_from(1, MergeRule::Union, all()).unwrap();
        record.merge_from(2, MergeRule::Union, all()).unwrap();
        let merged = record.merged_labels::<Yx>().unwrap();
        // The base has ids up to 4, the second none, so the third's 1 is 5.
        let ids = merged.read(&Window::<Yx>::whole([1, 3])).unwrap();
        assert_eq!(ids, array![[[4, 4, 5]]]);
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
        let record = Record::new("cell", &raw, &seg);
        assert!(matches!(
            record.load::<Yx>().unwrap_err(),
            LoadError::Open(OpenError::ManyChannels { .. })
        ));
        let raw = ImagePath::new(raw).with_channel(0);
        let seg = ImagePath::new(seg).with_channel(1);
        let sample = Record::new("cell", raw, seg).load::<Yx>().unwrap();
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
}
