//! Reading a multiscale image.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use ndarray::Array;

use super::{
    super::{
        Axes as SpatialAxes, ImageInfo, OpenError,
        fault::{Fault, guarded},
        format::{Choice, Format},
        layout::{Layout, length, too_large},
    },
    axes::Axes,
    chunks::Chunks,
    description::{Level, Multiscale},
    node::{self, Image, Node},
};
use crate::{Pixel, Space, VoxelSize, Window, Zyx};

/// Bytes of a chunk, unpacked: 1 GiB.
const CHUNK: u64 = 1 << 30;

/// An OME-Zarr image, of which nothing but metadata is read until a box of voxels is asked for.
///
/// OME-Zarr 0.4 and 0.5 are read, and what older versions have in common with them: Zarr 2 and 3, with or
/// without shards, and the codecs blosc, bz2, crc32c, gzip, transpose, zlib and zstd. Chunks that are
/// missing have the fill value; a checksum is compared for each chunk, but in a shard only where a box
/// covers all of it, and the shard has at most 256 MiB. A path to an array without OME's metadata is fine if its axes
/// are named t, c, z, y and x, or it has two axes, y and x, or three, z, y and x. The path may lead into a store: to a label
/// image under `labels/`, a series, or a field of a well.
///
/// ```
/// use ndarray::Array3;
/// use segmenter_core::{NewImage, Window, Zyx, io::{ZarrImage, ZarrOptions}};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("cells.ome.zarr");
/// let new = NewImage::<Zyx, u16>::new([4, 64, 64]);
/// let writer = ZarrOptions::new().create(&new, &path)?;
/// let whole = Window::whole(new.extent());
/// writer.write(&whole, &Array3::from_elem((4, 64, 64), 7).view().insert_axis(ndarray::Axis(0)))?;
/// writer.finish()?;
///
/// let image = ZarrImage::open(&path)?;
/// let corner = image.read::<Zyx, u16>(0, &Window::new([0, 60, 60], [1, 2, 2]))?;
/// assert_eq!(corner, Array3::from_elem((1, 2, 2), 7).insert_axis(ndarray::Axis(0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ZarrImage {
    path: PathBuf,
    axes: Axes,
    layout: Layout,
    origin: [Option<f64>; 3],
    labels: Vec<String>,
    /// The time point that is read where none is asked for.
    time: usize,
    chunks: Chunks,
}

impl ZarrImage {
    /// Opens the only image of a store, in full resolution.
    ///
    /// # Errors
    /// If the folder is no OME-Zarr image, is damaged, is a plate or holds several scenes, or has what is not
    /// read here.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_at(path.as_ref(), None, 0)
    }

    /// Opens this scene of a store in this resolution, both counted from 0, full resolution first. Scenes are
    /// the `multiscales` of a group, or the series that bioformats2raw writes.
    ///
    /// # Errors
    /// As [`open`](Self::open), or if there is no such scene or resolution.
    pub fn open_at(
        path: impl AsRef<Path>,
        scene: impl Into<Option<usize>>,
        level: usize,
    ) -> Result<Self, OpenError> {
        let choice = Choice { scene: scene.into(), time: None, level, limit: u64::MAX };
        Self::with_choice(path.as_ref(), &choice)
    }

    pub(in super::super) fn with_choice(path: &Path, choice: &Choice) -> Result<Self, OpenError> {
        let (image, scenes) = node::find(path, choice.scene)?;
        let mut opened = match image {
            Image::Multiscale(node, index) => Self::multiscale(path, &node, index, choice.level),
            Image::Array(node) => Self::array(path, &node, choice.level),
        }?;
        opened.layout.scenes = scenes;
        let time = choice.time_of(opened.layout.time_points);
        opened.time = time.map_err(|fault| fault.at(path))?;
        Ok(opened)
    }

    fn multiscale(path: &Path, node: &Node, index: usize, level: usize) -> Result<Self, OpenError> {
        let ome = node.ome();
        let image = Multiscale::parse(&ome["multiscales"][index], ome.get("omero"))
            .map_err(|fault| fault.at(&node.file))?;
        let arrays = image.levels.iter().map(|level| open_array(&node.folder.join(&level.path)));
        let mut arrays = arrays.collect::<Result<Vec<_>, _>>()?;
        arrays.iter().try_for_each(|array| array.check_rank(&image.axes))?;
        let extents: Vec<_> = arrays.iter().map(|array| image.axes.zyx(&array.shape, 1)).collect();
        if level >= arrays.len() {
            return Err(no_level(path, level, arrays.len()));
        }
        let labels = match Node::open(&node.folder.join("labels")) {
            Ok(labels) => labels.names("labels")?,
            Err(OpenError::NotAnImage { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let physical = Physical::new(&image, &image.levels[level]);
        let chunks = arrays.swap_remove(level);
        Self::new(path, image.axes, chunks, physical, image.channel_names, extents, labels)
    }

    fn array(path: &Path, node: &Node, level: usize) -> Result<Self, OpenError> {
        let chunks = open_array(&node.folder)?;
        if level > 0 {
            return Err(no_level(path, level, 1));
        }
        let axes = match chunks.names() {
            Some(names) => Axes::from_names(names.iter().map(|name| (name.as_str(), None))),
            None => Axes::from_rank(chunks.shape.len()),
        };
        let axes = axes.map_err(|fault| fault.at(&node.file))?;
        let extents = vec![axes.zyx(&chunks.shape, 1)];
        Self::new(path, axes, chunks, Physical::default(), Vec::new(), extents, Vec::new())
    }

    fn new(
        path: &Path,
        axes: Axes,
        chunks: Chunks,
        physical: Physical,
        mut channel_names: Vec<Option<String>>,
        extents: Vec<[usize; 3]>,
        labels: Vec<String>,
    ) -> Result<Self, OpenError> {
        if chunks.shape.contains(&0) {
            return Err(Fault::malformed(format!(
                "has no voxels: its shape is {:?}",
                chunks.shape
            ))
            .at(path));
        }
        let needed = chunks.chunk_bytes();
        if needed > CHUNK {
            let reason = format!("has chunks of {needed} bytes; up to {CHUNK} are read");
            return Err(Fault::unsupported(reason).at(path));
        }
        let channels = Axes::count(axes.channel, &chunks.shape);
        channel_names.resize(channels, None);
        let layout = Layout {
            scenes: 1,
            levels: extents,
            time_points: Axes::count(axes.time, &chunks.shape),
            channels,
            extent: axes.zyx(&chunks.shape, 1),
            pixel: chunks.pixel,
            spacing: physical.spacing,
            channel_names,
        };
        let origin = physical.origin;
        Ok(Self { path: path.to_owned(), axes, layout, origin, labels, time: 0, chunks })
    }

    /// What the image holds.
    #[must_use]
    pub fn info(&self) -> ImageInfo {
        ImageInfo::new(&self.layout)
    }

    /// The position in µm of the first voxel's centre along z, y and x, where its unit is told.
    #[must_use]
    pub fn origin(&self) -> [Option<f64>; 3] {
        self.origin
    }

    /// The size of a voxel in µm, if it is told for every axis.
    #[must_use]
    pub fn voxel_size<S: Space>(&self) -> Option<VoxelSize<S>> {
        self.layout.voxel_size()
    }

    /// The names of the label images that belong to the image. [`label_path`](Self::label_path) is where each is.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The path under which a label image is opened.
    #[must_use]
    pub fn label_path(&self, name: &str) -> PathBuf {
        self.path.join("labels").join(name)
    }

    /// Reads the voxels of a box at a time point, all channels, on all cores: `[c, z, y, x]` or `[c, y, x]`.
    ///
    /// # Errors
    /// If the image has other axes or another pixel type, the box leaves the image, or a chunk is
    /// damaged.
    pub fn read<S: Space, T: Pixel>(
        &self,
        time: usize,
        window: &Window<S>,
    ) -> Result<Array<T, S::ChannelDim>, OpenError> {
        let (path, found) = (|| self.path.clone(), self.layout.axes());
        if found != SpatialAxes::of::<S>() {
            return Err(OpenError::Axes { path: path(), found, expected: SpatialAxes::of::<S>() });
        }
        if self.layout.pixel != T::TYPE {
            let (found, expected) = (self.layout.pixel, T::TYPE);
            return Err(OpenError::Pixel { path: path(), found, expected });
        }
        let grid = S::extent_from_fn(|axis| self.layout.extent[3 - S::RANK + axis]);
        if !window.fits(grid) {
            let [start, window, grid] =
                [window.start, window.extent, grid].map(|axes| axes.as_ref().to_vec());
            return Err(Fault::Outside { start, window, grid }.at(&self.path));
        }
        let mut zyx = [0..1, 0..1, 0..1];
        for axis in 0..S::RANK {
            zyx[3 - S::RANK + axis] = window.range(axis);
        }
        let [z, y, x] = zyx;
        let bytes = self.read_bytes(time, &[0..self.layout.channels, z, y, x])?;
        let voxels = bytes.chunks_exact(T::TYPE.bytes());
        let voxels = voxels.map(|bytes| T::from_le_slice(bytes).unwrap_or_default()).collect();
        let shape = S::channel_dim(self.layout.channels, window.extent);
        Array::from_shape_vec(shape, voxels)
            .map_err(|error| Fault::malformed(error.to_string()).at(&self.path))
    }

    /// Reads the voxels of a box, given by channels, z, y and x, as little-endian bytes `[c, z, y, x]`.
    fn read_bytes(&self, time: usize, region: &[Range<usize>; 4]) -> Result<Vec<u8>, OpenError> {
        let time_points = self.layout.time_points;
        if time >= time_points {
            return Err(Fault::Time { asked: time, time_points }.at(&self.path));
        }
        let count = region.iter().map(ExactSizeIterator::len);
        let bytes = count.fold(self.layout.pixel.bytes(), usize::saturating_mul);
        let limit = isize::MAX.unsigned_abs() as u64;
        let out = segmenter_memory::zeroed(bytes);
        let mut out = out.map_err(|_| too_large(limit).at(&self.path))?;
        let threads = rayon::current_num_threads();
        // A bug in a codec is an error about one store.
        guarded(&self.path, || Ok(self.chunks.read(&self.axes, time, region, threads, &mut out)))??;
        Ok(out)
    }
}

impl Format for ZarrImage {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn piece_bytes(&self) -> u64 {
        self.chunks.chunk_bytes()
    }

    fn slab(&self) -> usize {
        self.axes.zyx(&self.chunks.chunk, 1)[0]
    }

    fn read(
        &self,
        channels: &[usize],
        window: &Window<Zyx>,
        limit: u64,
        out: &mut [&mut [u8]],
    ) -> Result<(), Fault> {
        let needed = self.chunks.chunk_bytes();
        if needed > limit {
            return Err(Fault::Limit { needed, limit });
        }
        let [z, y, x] = [0, 1, 2].map(|axis| window.range(axis));
        for (&channel, out) in channels.iter().zip(out) {
            let region = [channel..channel + 1, z.clone(), y.clone(), x.clone()];
            let threads = rayon::current_num_threads();
            let read = self.chunks.read(&self.axes, self.time, &region, threads, out);
            read.map_err(|error| Fault::Named(Box::new(error)))?;
        }
        Ok(())
    }
}

fn no_level(path: &Path, asked: usize, levels: usize) -> OpenError {
    Fault::Level { asked, levels }.at(path)
}

/// The array in a folder.
pub(super) fn open_array(folder: &Path) -> Result<Chunks, OpenError> {
    let node = match Node::open(folder) {
        Err(OpenError::NotAnImage { path, .. }) => {
            return Err(Fault::malformed(
                "has no zarr.json or .zarray, so a level of the image is missing",
            )
            .at(&path));
        }
        other => other?,
    };
    match &node.array {
        Some(json) => guarded(&node.file, || Ok(Chunks::new(&node.folder, &node.file, json)))?,
        None => Err(Fault::malformed("is no array").at(&node.file)),
    }
}

/// What is known in µm.
#[derive(Clone, Copy, Debug, Default)]
struct Physical {
    spacing: [Option<f64>; 3],
    origin: [Option<f64>; 3],
}

impl Physical {
    fn new(image: &Multiscale, level: &Level) -> Self {
        let in_micrometres = |values: &[f64]| -> Vec<Option<f64>> {
            let units = image.units.iter().zip(values);
            units.map(|(unit, value)| unit.map(|unit| unit * value)).collect()
        };
        let spacing = image.axes.zyx(&in_micrometres(&level.scale), None);
        Self {
            spacing: spacing.map(|value| value.and_then(length)),
            origin: image.axes.zyx(&in_micrometres(&level.translation), None),
        }
    }
}
