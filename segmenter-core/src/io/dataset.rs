//! Images that stay in their files until a part of them is wanted.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytemuck::Zeroable;
use ndarray::{Array, Axis as ArrayAxis};
use rayon::{ThreadPoolBuilder, prelude::*};

use super::{
    Axes, ImageInfo, OpenError, OpenOptions,
    fault::{Fault, guarded},
    format::{Choice, Format},
    layout::{Layout, too_large, within},
};
use crate::{
    Pixel, PixelType, ReadError, Source, Space, Stack, VoxelSize, Window, Zyx,
    pixel::{sealed::AsBytes, with_pixel},
};

/// An image file or store that is open: what it holds is known without a pixel being read, and any
/// part of it can be.
///
/// ```
/// use ndarray::Array3;
/// use segmenter_core::{PixelType, Stack3, Window, Zyx, io::Dataset};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("cells.ome.tiff");
/// Stack3::new(Array3::from_shape_fn((4, 300, 300), |(z, y, x)| (z + y + x) as u16)).save(&path)?;
///
/// let cells = Dataset::open(&path)?;
/// assert_eq!((cells.info().extent.as_slice(), cells.info().pixel), (&[4, 300, 300][..], PixelType::U16));
/// let corner = Window::<Zyx>::new([3, 290, 290], [1, 10, 10]);
/// assert_eq!(cells.read::<Zyx, u16>(&corner)?[[0, 0, 9, 9]], 601);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`image`](Self::image) makes a [`Source`] of it, which is what training, prediction and curation
/// take. Several threads may read at once; what is read is the same whatever their number.
#[derive(Clone, Debug)]
pub struct Dataset {
    path: PathBuf,
    format: Arc<dyn Format>,
    /// The channels that are read.
    channels: Vec<usize>,
    limit: u64,
    /// Whether it is settled which time point is meant.
    timed: bool,
}

impl Dataset {
    /// Opens a file or store of one scene, all channels, at full resolution; see [`OpenOptions`] for
    /// anything else.
    ///
    /// # Errors
    /// If it can't be read, is damaged, holds several scenes, or holds what is not read here.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        OpenOptions::new().open_dataset(path)
    }

    pub(super) fn with_choice(
        path: &Path,
        channel: Option<usize>,
        choice: &Choice,
    ) -> Result<Self, OpenError> {
        let format = super::format::open(path, choice)?;
        let layout = format.layout();
        let channels = match channel {
            None => (0..layout.channels).collect(),
            Some(channel) if channel < layout.channels => vec![channel],
            Some(asked) => {
                let channels = layout.channels;
                return Err(OpenError::Channel { path: path.to_owned(), asked, channels });
            }
        };
        Ok(Self {
            path: path.to_owned(),
            timed: choice.time.is_some() || layout.time_points == 1,
            format: Arc::from(format),
            channels,
            limit: choice.limit,
        })
    }

    /// What the file holds: all of it, also the channels that are not read.
    #[must_use]
    pub fn info(&self) -> ImageInfo {
        ImageInfo::new(self.layout())
    }

    /// The file or store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of channels that are read: all, or the one that was chosen.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// The names of the channels that are read, in order, where they have one.
    #[must_use]
    pub fn channel_names(&self) -> Vec<Option<String>> {
        let names = &self.layout().channel_names;
        self.channels.iter().map(|&channel| names[channel].clone()).collect()
    }

    /// Number of slices that are stored together: boxes that begin at a multiple of this and have as
    /// many slices are read without reading anything twice.
    #[must_use]
    pub fn slab(&self) -> usize {
        self.format.slab()
    }

    pub(super) fn layout(&self) -> &Layout {
        self.format.layout()
    }

    /// The pixels of a box, `[c, z, y, x]` or `[c, y, x]`.
    ///
    /// # Errors
    /// If the file has other axes or pixels, is a time series of which no time point was chosen, or
    /// can't be read; if the box leaves the image or is larger than the limit.
    pub fn read<S: Space, T: Pixel>(
        &self,
        window: &Window<S>,
    ) -> Result<Array<T, S::ChannelDim>, OpenError> {
        let found = self.layout().pixel;
        if found != T::TYPE {
            return Err(OpenError::Pixel { path: self.path.clone(), found, expected: T::TYPE });
        }
        self.read_as(window, same::<T>())
    }

    /// The pixels of a box as `f32`, `[c, z, y, x]` or `[c, y, x]`; see [`Pixel::to_f32`] for what is
    /// exact.
    ///
    /// # Errors
    /// As [`read`](Self::read), but for the pixel type.
    pub fn read_f32<S: Space>(
        &self,
        window: &Window<S>,
    ) -> Result<Array<f32, S::ChannelDim>, OpenError> {
        self.read_as(window, to_f32(self.layout().pixel))
    }

    /// All pixels, with the voxel size and the channels' names.
    pub(super) fn stack<S: Space, T: Pixel>(&self) -> Result<Stack<S, T>, OpenError> {
        Ok(self.named(self.read(&self.whole::<S>()?)?))
    }

    /// The same as `f32`.
    pub(super) fn stack_f32<S: Space>(&self) -> Result<Stack<S, f32>, OpenError> {
        Ok(self.named(self.read_f32(&self.whole::<S>()?)?))
    }

    fn whole<S: Space>(&self) -> Result<Window<S>, OpenError> {
        Ok(Window::whole(self.image::<S>()?.extent()))
    }

    fn named<S: Space, T: Pixel>(&self, pixels: Array<T, S::ChannelDim>) -> Stack<S, T> {
        Stack::from_channels(pixels)
            .with_voxel_size(self.layout().voxel_size::<S>())
            .with_channel_names(self.channel_names())
    }

    /// The image as one of these axes, whose boxes are read as intensities, ids or a mask.
    ///
    /// # Errors
    /// If the file has other axes, or is a time series of which no time point was chosen.
    pub fn image<S: Space>(&self) -> Result<ImageFile<S>, OpenError> {
        self.check::<S>()?;
        let layout = self.layout();
        let extent = S::extent_from_fn(|axis| layout.extent[3 - S::RANK + axis]);
        Ok(ImageFile { extent, voxel_size: layout.voxel_size(), dataset: self.clone() })
    }

    /// Checks that the image has these axes, and that it is settled which time point is meant.
    fn check<S: Space>(&self) -> Result<(), OpenError> {
        let (path, layout) = (|| self.path.clone(), self.layout());
        let (found, expected) = (layout.axes(), Axes::of::<S>());
        if !self.timed {
            return Err(OpenError::TimeSeries { path: path(), time_points: layout.time_points });
        }
        if found != expected {
            return Err(OpenError::Axes { path: path(), found, expected });
        }
        Ok(())
    }

    /// The values of a box, slab by slab on all cores.
    fn read_as<S: Space, T: Zeroable + Send>(
        &self,
        window: &Window<S>,
        take: Take<T>,
    ) -> Result<Array<T, S::ChannelDim>, OpenError> {
        self.check::<S>()?;
        let mut zyx = Window::<Zyx>::whole(S::to_zyx(window.extent));
        zyx.start[3 - S::RANK..].copy_from_slice(window.start.as_ref());
        let shape = S::channel_dim(self.channels.len(), window.extent);
        guarded(&self.path, || {
            if !zyx.fits(self.layout().extent) {
                return Err(Fault::Outside {
                    start: window.start.as_ref().to_vec(),
                    window: window.extent.as_ref().to_vec(),
                    grid: self.layout().extent[3 - S::RANK..].to_vec(),
                });
            }
            let values = self.decode(&zyx, take)?;
            Array::from_shape_vec(shape, values)
                .map_err(|error| Fault::malformed(error.to_string()))
        })
    }

    fn decode<T: Zeroable + Send>(
        &self,
        window: &Window<Zyx>,
        take: Take<T>,
    ) -> Result<Vec<T>, Fault> {
        let mut sizes = window.extent.into_iter().chain([self.channels.len()]);
        let bytes = sizes.try_fold(size_of::<T>(), usize::checked_mul);
        let length = within(bytes, self.limit)? / size_of::<T>();
        let mut values = segmenter_memory::zeroed(length).map_err(|_| too_large(self.limit))?;
        let plane = window.extent[1] * window.extent[2];
        if plane == 0 {
            return Ok(values);
        }
        let slabs = self.slabs(window, plane, &mut values);
        let decode = || slabs.into_par_iter().try_for_each(|slab| self.decode_slab(slab, take));
        let threads = self.threads();
        if threads < rayon::current_num_threads() {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build();
            pool.map_err(|error| Fault::Io(io::Error::other(error)))?.install(decode)?;
        } else {
            decode()?;
        }
        Ok(values)
    }

    /// How many threads may each have a piece of the file in memory, so that together they keep to the
    /// limit.
    fn threads(&self) -> usize {
        let pieces = self.limit / self.format.piece_bytes().max(1);
        usize::try_from(pieces).unwrap_or(usize::MAX).max(1)
    }

    fn decode_slab<T>(&self, mut slab: Slab<'_, T>, take: Take<T>) -> Result<(), Fault> {
        let read = |mut places: Vec<&mut [u8]>| {
            self.format.read(&self.channels, &slab.window, self.limit, &mut places)
        };
        let convert = match take {
            Take::AsIs(bytes) => {
                return read(slab.values.iter_mut().map(|values| bytes(values)).collect());
            }
            Take::Through(convert) => convert,
        };
        let [slices, rows, columns] = slab.window.extent;
        let bytes = slices * rows * columns * self.layout().pixel.bytes();
        let mut buffer = vec![0; self.channels.len() * bytes];
        read(buffer.chunks_exact_mut(bytes).collect())?;
        let channels = buffer.chunks_exact(bytes);
        channels.zip(slab.values).for_each(|(bytes, values)| convert(bytes, values));
        Ok(())
    }

    /// The slabs of a box, each with the places of its values, channel by channel.
    fn slabs<'a, T>(
        &self,
        window: &Window<Zyx>,
        plane: usize,
        values: &'a mut [T],
    ) -> Vec<Slab<'a, T>> {
        let (step, range) = (self.format.slab().max(1), window.range(0));
        let mut slabs = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let end = ((start / step + 1) * step).min(range.end);
            let mut window = *window;
            (window.start[0], window.extent[0]) = (start, end - start);
            slabs.push(Slab { window, values: Vec::with_capacity(self.channels.len()) });
            start = end;
        }
        for mut channel in values.chunks_exact_mut(plane * range.len()) {
            for slab in &mut slabs {
                let (first, rest) = channel.split_at_mut(plane * slab.window.extent[0]);
                slab.values.push(first);
                channel = rest;
            }
        }
        slabs
    }
}

/// Slices that are read at once, and where their values go, channel by channel.
struct Slab<'a, T> {
    window: Window<Zyx>,
    values: Vec<&'a mut [T]>,
}

/// An image of known axes that stays in its file: a [`Source`] of intensities as `f32`, of ids as
/// `u32`, and of a mask, in which is what is above 0.
///
/// As ids, values have to be whole numbers from 0 to 2³²-1; each box is checked as it is read.
#[derive(Clone, Debug)]
pub struct ImageFile<S: Space> {
    dataset: Dataset,
    extent: S::Extent,
    voxel_size: Option<VoxelSize<S>>,
}

impl<S: Space> ImageFile<S> {
    /// The file that the image is in.
    #[must_use]
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// Number of voxels along each spatial axis, slowest first.
    #[must_use]
    pub fn extent(&self) -> S::Extent {
        self.extent
    }

    /// The size of a voxel in micrometres, if it is known.
    #[must_use]
    pub fn voxel_size(&self) -> Option<VoxelSize<S>> {
        self.voxel_size
    }

    /// The ids of a box.
    pub(super) fn read_ids(
        &self,
        window: &Window<S>,
    ) -> Result<Array<u32, S::ChannelDim>, OpenError> {
        with_pixel!(self.dataset.layout().pixel, P => self.ids_of::<P>(window))
    }

    fn ids_of<P: Pixel>(&self, window: &Window<S>) -> Result<Array<u32, S::ChannelDim>, OpenError> {
        let values = self.dataset.read::<S, P>(window)?;
        let not_an_id = values.iter().enumerate().find(|&(_, &value)| id(value).is_none());
        if let Some((offset, value)) = not_an_id {
            let index = position(offset, window);
            return Err(OpenError::LabelValue {
                path: self.dataset.path.clone(),
                index,
                value: value.to_f64(),
            });
        }
        Ok(values.mapv(|value| id(value).unwrap_or_default()))
    }

    pub(super) fn read_inside(
        &self,
        window: &Window<S>,
    ) -> Result<Array<bool, S::ChannelDim>, OpenError> {
        self.dataset.read_as(window, to_inside(self.dataset.layout().pixel))
    }
}

macro_rules! file_source {
    ($voxel:ty, $read:expr) => {
        impl<S: Space> Source<S, $voxel> for ImageFile<S> {
            fn extent(&self) -> S::Extent {
                self.extent
            }

            fn channels(&self) -> usize {
                self.dataset.channels()
            }

            fn voxel_size(&self) -> Option<VoxelSize<S>> {
                self.voxel_size
            }

            fn read(&self, window: &Window<S>) -> Result<Array<$voxel, S::ChannelDim>, ReadError> {
                ReadError::check(window, self.extent)?;
                let read: fn(&Self, &Window<S>) -> _ = $read;
                read(self, window).map_err(|error: OpenError| ReadError::Source(Box::new(error)))
            }
        }
    };
}

file_source!(f32, |file, window| file.dataset.read_f32(window));
file_source!(u32, Self::read_ids);
file_source!(bool, Self::read_inside);

/// The only channel of an array that has one.
pub(super) fn only_channel<T: Clone, S: Space>(
    values: Array<T, S::ChannelDim>,
) -> Array<T, S::Dim> {
    values.remove_axis(ArrayAxis(0))
}

/// A value as the id of an object, if it is one.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range and the fraction are checked"
)]
fn id<T: Pixel>(value: T) -> Option<u32> {
    let value = value.to_f64();
    let valid = (0.0..=f64::from(u32::MAX)).contains(&value) && value.fract() == 0.0;
    valid.then_some(value as u32)
}

/// The position of a voxel in an image from how many voxels of a box come before it.
fn position<S: Space>(mut offset: usize, window: &Window<S>) -> Vec<usize> {
    let mut index = window.start.as_ref().to_vec();
    for (position, &size) in index.iter_mut().zip(window.extent.as_ref()).rev() {
        *position += offset % size;
        offset /= size;
    }
    index
}

/// How the little-endian bytes of pixels become values.
enum Take<T> {
    /// They are the values' own bytes.
    AsIs(AsBytes<T>),
    Through(fn(&[u8], &mut [T])),
}

// Derived, it would ask the same of the values.
impl<T> Clone for Take<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Take<T> {}

/// Takes values as they are.
fn same<T: Pixel>() -> Take<T> {
    match T::LE_BYTES {
        Some(bytes) => Take::AsIs(bytes),
        None => Take::Through(|bytes, values| convert::<T, T>(bytes, values, |value| value)),
    }
}

/// Takes values of any type as `f32`.
fn to_f32(pixel: PixelType) -> Take<f32> {
    with_pixel!(pixel, P => match pixel {
        PixelType::F32 => same::<f32>(),
        _ => Take::Through(|bytes, values| convert::<P, f32>(bytes, values, P::to_f32)),
    })
}

/// Takes values of any type as inside where they are above 0.
fn to_inside(pixel: PixelType) -> Take<bool> {
    with_pixel!(pixel, P => Take::Through(|bytes, values| {
        convert::<P, bool>(bytes, values, |value| value.to_f64() > 0.0);
    }))
}

fn convert<P: Pixel, T>(bytes: &[u8], values: &mut [T], f: impl Fn(P) -> T) {
    P::zip_le_bytes(bytes, values, |value, place| *place = f(value));
}
