//! How an OME-Zarr image is written.

use std::path::Path;

use super::{
    super::{Compression, Existing, SaveError},
    write::ZarrWriter,
};
use crate::{NewImage, Pixel, Space};

/// Which OME-Zarr is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZarrVersion {
    /// 0.4, in Zarr 2: what programs from before 2025 open. No shards and no checksums.
    V04,
    /// 0.5, in Zarr 3.
    #[default]
    V05,
}

/// How an OME-Zarr image is written, box by box.
///
/// Unless said otherwise it is OME-Zarr 0.5 in Zarr 3, each chunk packed with zstd and followed by its CRC32C, one
/// resolution, no shards, and never over a store that is there.
///
/// # Chunks
/// A chunk has one channel and 2^18 voxels, 512 KiB of `u16`. It is as near a cube in µm as powers of two allow, so that a viewer
/// reads as little in any direction: 64 x 64 x 64 where voxels are cubes or their size is unknown, 16 x 128 x 128 where slices are
/// eight times as thick, 512 x 512 in a plane. No axis of a chunk is twice as long as the image.
///
/// # Shards
/// With [`with_shards`](Self::with_shards) a file holds up to 4 chunks along each axis, 64 in a volume and 32 MiB of
/// `u16`. A reader still takes one chunk at a time out of it. [`Sink::block`](crate::Sink::block) is then the extent of a
/// shard: what is written in one piece, and held in memory meanwhile.
///
/// # Resolutions
/// With [`with_pyramid`](Self::with_pyramid) smaller levels are made once all is written, each from the one before, until
/// one fits a chunk in y and x. An axis is halved while its voxels are at most half as long again as the shortest. Intensities become the
/// mean of the voxels, rounded half up; labels and masks the first of them.
///
/// # After a crash
/// A store is written under a hidden name beside the final one, `.NAME.partial-` and a few letters, and renamed when all is
/// on disk. A process that is killed leaves that folder, which may be deleted; each file in it is whole. An error or a
/// writer that is dropped leaves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZarrOptions {
    pub(super) existing: Existing,
    pub(super) version: ZarrVersion,
    pub(super) compression: Compression,
    pub(super) checksums: bool,
    pub(super) shards: bool,
    pub(super) pyramid: bool,
}

impl Default for ZarrOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ZarrOptions {
    /// OME-Zarr 0.5 with zstd and checksums, which replaces nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            existing: Existing::Refuse,
            version: ZarrVersion::V05,
            compression: Compression::Zstd,
            checksums: true,
            shards: false,
            pyramid: false,
        }
    }

    /// What to do when a store of that name is already there. To replace it, it is first given another
    /// name, and deleted when the new one is in its place.
    #[must_use]
    pub fn with_existing(mut self, existing: Existing) -> Self {
        self.existing = existing;
        self
    }

    /// Which OME-Zarr is written. Labels are of the version of their image, whatever this says.
    #[must_use]
    pub fn with_version(mut self, version: ZarrVersion) -> Self {
        self.version = version;
        self
    }

    /// How chunks are packed: zstd at level 3, or deflate at level 6, as the codec gzip.
    #[must_use]
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Whether a checksum, CRC32C, follows each chunk. Zarr 2 has none.
    #[must_use]
    pub fn with_checksums(mut self, checksums: bool) -> Self {
        self.checksums = checksums;
        self
    }

    /// Whether a file holds many chunks.
    #[must_use]
    pub fn with_shards(mut self, shards: bool) -> Self {
        self.shards = shards;
        self
    }

    /// Whether there are smaller resolutions.
    #[must_use]
    pub fn with_pyramid(mut self, pyramid: bool) -> Self {
        self.pyramid = pyramid;
        self
    }

    /// Makes a store for an image that is written box by box.
    ///
    /// # Errors
    /// If the store exists and may not be replaced, the image has no voxels, or the file system fails.
    pub fn create<S: Space, T: Pixel>(
        &self,
        image: &NewImage<S, T>,
        path: impl AsRef<Path>,
    ) -> Result<ZarrWriter<S, T>, SaveError> {
        ZarrWriter::image(*self, image, path.as_ref())
    }

    /// Makes a label image that belongs to an image: it is at `labels/NAME` in the store, and listed there once it
    /// is complete.
    ///
    /// It has as many resolutions as the image, and the same scales and units. One process at a time may add to a store.
    ///
    /// ```
    /// use ndarray::{Array3, Axis};
    /// use segmenter_core::{NewImage, Window, Zyx, io::{ZarrImage, ZarrOptions}};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("cells.ome.zarr");
    /// let (extent, whole) = ([4, 8, 8], Window::whole([4, 8, 8]));
    /// let writer = ZarrOptions::new().create(&NewImage::<Zyx, u16>::new(extent), &path)?;
    /// writer.write(&whole, &Array3::zeros(extent).insert_axis(Axis(0)).view())?;
    /// writer.finish()?;
    ///
    /// let labels = NewImage::<Zyx, u32>::labels(extent);
    /// let writer = ZarrOptions::new().create_labels(&labels, &path, "nuclei")?;
    /// writer.write(&whole, &Array3::ones(extent).insert_axis(Axis(0)).view())?;
    /// writer.finish()?;
    /// let image = ZarrImage::open(&path)?;
    /// assert_eq!(image.labels(), ["nuclei"]);
    /// assert_eq!(ZarrImage::open(image.label_path("nuclei"))?.info().extent, extent);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the image can't be read or is a time series; the labels have another extent, more than one channel, or values that are not
    /// whole numbers; the name can't be that of a folder; labels of that name exist and may not be replaced; or the file
    /// system fails.
    pub fn create_labels<S: Space, T: Pixel>(
        &self,
        labels: &NewImage<S, T>,
        image: impl AsRef<Path>,
        name: &str,
    ) -> Result<ZarrWriter<S, T>, SaveError> {
        ZarrWriter::labels(*self, labels, image.as_ref(), name)
    }
}
