//! Writing OME-TIFF, block by block.

mod directory;
mod file;
mod format;
mod geometry;
mod ome;
mod pack;
mod predictor;

use std::{marker::PhantomData, path::Path, sync::OnceLock};

use ndarray::{ArrayView, ArrayView2, ArrayView4, Axis, Ix4, Slice};

use self::{
    directory::Width,
    file::BlockFile,
    format::{Format, fraction},
    geometry::{Level, Place, width},
};
use super::super::{SaveError, SaveOptions, picture::Compression, whole::Whole};
use crate::{ImageKind, NewImage, Pixel, Sink, Space, Window, WriteError};

/// An OME-TIFF file that is written box by box, by any number of threads.
/// [`SaveOptions::create`] makes one.
///
/// # Memory
/// - 12 bytes for each block of the file: 2 MB for 20 GB of `u16` in tiles, a third more with a
///   pyramid, and about twice that while the file is finished.
/// - Up to 64 blocks for each box that is being written, as they are and as they are packed: 16 MiB
///   for tiles of `u16`.
/// - With a pyramid, the blocks of smaller levels of which only a part is known. Where a box is a
///   whole slice there are none; where boxes go row by row through the blocks of a slice they are
///   less than 256 rows of the image for each channel; in the worst order they are a third of the
///   image.
#[derive(Debug)]
pub struct TiffWriter<S: Space, T> {
    extent: S::Extent,
    file: BlockFile,
    pixel: PhantomData<fn(T)>,
}

impl<S: Space, T: Pixel> TiffWriter<S, T> {
    /// A file for an image, or why there can't be one.
    pub(in super::super) fn create(
        options: &SaveOptions,
        image: &NewImage<S, T>,
        path: &Path,
    ) -> Result<Self, SaveError> {
        let unsupported = |reason| SaveError::Unsupported { path: path.to_owned(), reason };
        let format = format(options, image).map_err(unsupported)?;
        let file = BlockFile::new(format, Whole::create(path, options.existing)?)?;
        Ok(Self { extent: image.extent(), file, pixel: PhantomData })
    }

    /// Number of voxels along each spatial axis, slowest first.
    #[must_use]
    pub fn extent(&self) -> S::Extent {
        self.extent
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.file.format().channels
    }

    /// The extent of a tile or strip, in voxels: boxes begin at its multiples.
    #[must_use]
    pub fn block(&self) -> S::Extent {
        let [rows, columns] = self.file.format().levels[0].block;
        S::extent_from_fn(|axis| [1, rows, columns][3 - S::RANK + axis])
    }

    /// Writes the voxels of a box, all channels. See [`Sink`] for which boxes there are.
    ///
    /// # Errors
    /// As [`Sink::write`].
    pub fn write(
        &self,
        window: &Window<S>,
        voxels: &ArrayView<'_, T, S::ChannelDim>,
    ) -> Result<(), WriteError> {
        WriteError::check(self, window, voxels)?;
        self.write_as(window, voxels, |voxel| voxel)
    }

    /// Completes the file, which then appears under its name.
    ///
    /// # Errors
    /// As [`Sink::finish`].
    pub fn finish(self) -> Result<(), WriteError> {
        let (level, extent) = (self.file.format().levels[0], self.extent);
        self.file.finish()?.map_err(|gap| WriteError::Missing {
            missing: directory::bytes(gap.missing),
            blocks: directory::bytes(gap.blocks),
            first: voxel_of::<S>(&level, extent, gap.first),
        })
    }

    /// Writes the voxels of a box of whole blocks, each stored through `convert`.
    pub(in super::super) fn write_as<V: Copy + Sync>(
        &self,
        window: &Window<S>,
        voxels: &ArrayView<'_, V, S::ChannelDim>,
        convert: impl Fn(V) -> T + Sync,
    ) -> Result<(), WriteError> {
        let level = self.file.format().levels[0];
        let [slices, ..] = S::to_zyx(self.extent);
        let mut first = [0; 3];
        first[3 - S::RANK..].copy_from_slice(window.start.as_ref());
        let [z, y, x] = first;
        let voxels = czyx::<S, V>(voxels);
        let blocks = blocks_of(&level, slices, first, voxels.dim());
        if let Err(place) = self.file.claim(&blocks)? {
            let start = voxel_of::<S>(&level, self.extent, place);
            return Err(WriteError::Twice { start });
        }
        self.file.write(&blocks, |place| {
            let plane = voxels
                .index_axis(Axis(0), place.plane / slices)
                .index_axis_move(Axis(0), place.plane % slices - z);
            let [[row, column], [rows, columns]] = level.part(place);
            let from = [row - y, column - x];
            pixels(&plane, from, [rows, columns], &convert)
        })
    }
}

impl<S: Space, T: Pixel> Sink<S, T> for TiffWriter<S, T> {
    fn extent(&self) -> S::Extent {
        self.extent()
    }

    fn channels(&self) -> usize {
        self.channels()
    }

    fn block(&self) -> S::Extent {
        self.block()
    }

    fn write(
        &self,
        window: &Window<S>,
        voxels: &ArrayView<'_, T, S::ChannelDim>,
    ) -> Result<(), WriteError> {
        self.write(window, voxels)
    }

    fn finish(self: Box<Self>) -> Result<(), WriteError> {
        (*self).finish()
    }
}

/// What the file will be, or why it can't.
fn format<S: Space, T: Pixel>(
    options: &SaveOptions,
    image: &NewImage<S, T>,
) -> Result<Format, String> {
    let (pixel, channels) = (T::TYPE, image.channels());
    let description = ome::xml(image, pixel)?;
    let [slices, rows, columns] = S::to_zyx(image.extent());
    let too_large = || format!("{rows} x {columns} pixels are more than a TIFF file can hold");
    let counts = (u32::try_from(rows), u32::try_from(columns));
    let (Ok(_), Ok(_)) = counts else { return Err(too_large()) };
    let size = pixel.bytes();
    let levels = Level::all([rows, columns], size, options.blocks, options.pyramid);
    // With room for a compression that makes it a little larger.
    let block = levels[0].block[0].checked_mul(levels[0].block[1]);
    let block = block.and_then(|pixels| pixels.checked_mul(2 * size));
    block.filter(|&bytes| u32::try_from(bytes).is_ok()).ok_or_else(too_large)?;
    let planes = channels.checked_mul(slices).ok_or_else(too_large)?;
    let resolution = image.voxel_size().and_then(|size| {
        let lengths = size.micrometres();
        let [.., y, x] = lengths.as_ref() else { return None };
        Some([fraction(10_000.0 / y)?, fraction(10_000.0 / x)?])
    });
    Ok(Format {
        width: if options.big { Width::Big } else { width(&levels, planes, size) },
        levels,
        channels,
        planes,
        pixel,
        kind: image.kind(),
        compression: options.compression,
        // Ids are mostly equal, which packs better as it is. ImageJ undoes differences of 8 and 16 bits
        // only.
        may_differ: image.kind() == ImageKind::Intensities
            && options.compression != Compression::None
            && size <= 2,
        differences: OnceLock::new(),
        description,
        resolution,
    })
}

/// The first voxel of a block.
fn voxel_of<S: Space>(level: &Level, extent: S::Extent, place: Place) -> Vec<usize> {
    let [slices, ..] = S::to_zyx(extent);
    let [[row, column], _] = level.part(place);
    [place.plane % slices, row, column][3 - S::RANK..].to_vec()
}

/// The voxels with all four axes, where a plane has one slice.
fn czyx<'a, S: Space, V>(voxels: &ArrayView<'a, V, S::ChannelDim>) -> ArrayView4<'a, V> {
    let mut voxels = voxels.clone().into_dyn();
    if S::RANK == 2 {
        voxels = voxels.insert_axis(Axis(1));
    }
    voxels.into_dimensionality::<Ix4>().expect("one axis for channels and three for space")
}

/// The numbers of the blocks in a box that begins at a voxel, channel by channel.
fn blocks_of(
    level: &Level,
    slices: usize,
    [z, y, x]: [usize; 3],
    (channels, depth, rows, columns): (usize, usize, usize, usize),
) -> Vec<usize> {
    let [tall, wide] = level.block;
    let mut blocks = Vec::new();
    for channel in 0..channels {
        for slice in z..z + depth {
            for down in y / tall..(y + rows).div_ceil(tall) {
                for across in x / wide..(x + columns).div_ceil(wide) {
                    let plane = channel * slices + slice;
                    blocks.push(level.index(Place { plane, down, across }));
                }
            }
        }
    }
    blocks
}

/// The little-endian pixels of a part of a plane.
fn pixels<V: Copy, T: Pixel>(
    plane: &ArrayView2<'_, V>,
    from: [usize; 2],
    extent: [usize; 2],
    convert: impl Fn(V) -> T,
) -> Vec<u8> {
    let part = plane.slice_each_axis(|axis| {
        let axis = axis.axis.index();
        Slice::from(from[axis]..from[axis] + extent[axis])
    });
    let mut bytes = Vec::with_capacity(part.len() * T::TYPE.bytes());
    for row in part.rows() {
        // Over a slice where there is one, because that is several times faster than over a view.
        if let Some(row) = row.to_slice() {
            T::extend_all_le_bytes(row.iter().map(|&voxel| convert(voxel)), &mut bytes);
        } else {
            T::extend_all_le_bytes(row.iter().map(|&voxel| convert(voxel)), &mut bytes);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, OpenOptions},
        io::{BufWriter, ErrorKind},
    };

    use ndarray::Array3;

    use super::*;
    use crate::{
        Yx,
        io::{Blocks, Existing},
    };

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_an_error_that_names_the_file_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.ome.tiff");
        let image = NewImage::<Yx, u16>::new([300, 300]);
        let format = format(&SaveOptions::new(), &image).unwrap();
        let mut whole = Whole::create(&path, Existing::Refuse).unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        whole.writer = BufWriter::with_capacity(16, full);
        let writer = TiffWriter::<Yx, _> {
            extent: image.extent(),
            file: BlockFile::new(format, whole).unwrap(),
            pixel: PhantomData::<fn(u16)>,
        };
        let pixels = Array3::zeros((1, 300, 300));
        let write = || writer.write(&Window::whole([300, 300]), &pixels.view());
        match write().unwrap_err() {
            WriteError::Save(SaveError::Io { path: named, source }) => {
                assert_eq!((named, source.kind()), (path, ErrorKind::StorageFull));
            }
            other => panic!("{other}"),
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(matches!(write(), Err(WriteError::Ended)));
        assert!(matches!(writer.finish(), Err(WriteError::Ended)));
    }

    #[test]
    fn an_image_that_no_tiff_file_can_hold_is_refused() {
        let image = |rows| NewImage::<Yx, u16>::new([rows, 1 << 31]);
        let strips = SaveOptions::new().with_blocks(Blocks::Strips);
        assert!(format(&strips, &image(1)).is_err(), "strips of 8 GiB");
        assert!(format(&SaveOptions::new(), &NewImage::<Yx, u16>::new([1 << 32, 1])).is_err());
    }
}
