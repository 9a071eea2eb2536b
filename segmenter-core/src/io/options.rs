//! How an image is opened.

use std::path::Path;

use ndarray::Array;

use super::{
    Axes, ImageInfo, OpenError,
    reader::{Convert, Reader, same, to_f32, to_inside},
};
use crate::{Labels, Mask, Pixel, PixelType, Space, Stack};

/// Bytes of decoded pixels unless said otherwise: 16 GiB.
const LIMIT: u64 = 16 << 30;

/// How to open an image: which scene and channel of it, and how much memory it may take.
///
/// Made and used like [`std::fs::OpenOptions`]:
///
/// ```
/// use ndarray::array;
/// use segmenter_core::{Stack2, Yx, io::OpenOptions};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("cells.tif");
/// Stack2::from_channels(array![[[1_u16, 2]], [[3, 4]]]).save(&path)?;
///
/// let second = OpenOptions::new().with_channel(1).open_f32::<Yx>(&path)?;
/// assert_eq!(second.view(), array![[[3.0_f32, 4.0]]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What is read
///
/// TIFF and `BigTIFF` in either byte order, in strips or tiles, with the samples of a pixel side by
/// side or in planes of their own, uncompressed or with LZW, deflate, `PackBits` or Zstandard, with or
/// without a predictor; and PNG planes. The first bytes decide, not the name.
///
/// Which page is which plane is told by the first page: OME-XML, ImageJ's hyperstacks, tifffile's
/// shapes; pages without any of these are slices. Samples of a pixel, as in RGB, are channels.
/// Values are taken as they are stored: an image whose zero is white is not inverted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    scene: Option<usize>,
    channel: Option<usize>,
    limit: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl OpenOptions {
    /// The only scene, all channels, and up to 16 GiB of decoded pixels.
    #[must_use]
    pub fn new() -> Self {
        Self { scene: None, channel: None, limit: LIMIT }
    }

    /// Opens this scene of a file that holds several images, counted from 0.
    #[must_use]
    pub fn with_scene(mut self, scene: usize) -> Self {
        self.scene = Some(scene);
        self
    }

    /// Opens this channel alone, counted from 0.
    #[must_use]
    pub fn with_channel(mut self, channel: usize) -> Self {
        self.channel = Some(channel);
        self
    }

    /// Allows so many bytes of decoded pixels. A few bytes of a damaged or hostile file can claim
    /// any size; what is beyond the limit is refused before memory is taken for it.
    #[must_use]
    pub fn with_limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Tells what the file holds; see [`probe`](super::probe). A chosen channel makes no difference.
    ///
    /// # Errors
    /// If the file can't be read, is damaged, or holds what is not read here.
    pub fn probe(&self, path: impl AsRef<Path>) -> Result<ImageInfo, OpenError> {
        Ok(ImageInfo::new(self.reader(path.as_ref())?.layout()))
    }

    /// Opens an image of these axes and pixels.
    ///
    /// # Errors
    /// If the file has others, can't be read, is damaged, is a time series, or is larger than the
    /// limit.
    pub fn open<S: Space, T: Pixel>(
        &self,
        path: impl AsRef<Path>,
    ) -> Result<Stack<S, T>, OpenError> {
        let reader = self.reader(path.as_ref())?;
        let found = reader.layout().pixel;
        if found != T::TYPE {
            let path = reader.path().to_owned();
            return Err(OpenError::Pixel { path, found, expected: T::TYPE });
        }
        self.stack(reader, same::<T>)
    }

    /// Opens an image of these axes and any pixel type as `f32`; see
    /// [`Pixel::to_f32`](crate::Pixel::to_f32) for what is exact.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for the pixel type.
    pub fn open_f32<S: Space>(&self, path: impl AsRef<Path>) -> Result<Stack<S, f32>, OpenError> {
        let reader = self.reader(path.as_ref())?;
        let convert = to_f32(reader.layout().pixel);
        self.stack(reader, convert)
    }

    /// Opens a label image of these axes. Any pixel type is fine whose values are whole numbers
    /// that are not negative.
    ///
    /// # Errors
    /// As [`open`](Self::open); if there are several channels and none was chosen; or at the first
    /// value that is not the id of an object.
    pub fn open_labels<S: Space>(&self, path: impl AsRef<Path>) -> Result<Labels<S>, OpenError> {
        let reader = self.single_channel(path.as_ref())?;
        match reader.layout().pixel {
            PixelType::U8 => self.labels::<S, u8>(reader),
            PixelType::I8 => self.labels::<S, i8>(reader),
            PixelType::U16 => self.labels::<S, u16>(reader),
            PixelType::I16 => self.labels::<S, i16>(reader),
            PixelType::U32 => self.labels::<S, u32>(reader),
            PixelType::F32 => self.labels::<S, f32>(reader),
        }
    }

    /// Opens a mask of these axes: what is above 0 is in it.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for the pixel type; or if there are several channels and none
    /// was chosen.
    pub fn open_mask<S: Space>(&self, path: impl AsRef<Path>) -> Result<Mask<S>, OpenError> {
        let reader = self.single_channel(path.as_ref())?;
        let convert = to_inside(reader.layout().pixel);
        let values = self.stack::<S, u8>(reader, convert)?;
        let inside = values.channel(0).mapv(|value| value != 0);
        Ok(Mask::new(inside).with_voxel_size(values.voxel_size()))
    }

    pub(super) fn reader(&self, path: &Path) -> Result<Reader, OpenError> {
        Reader::open(path, self.scene, self.limit)
    }

    /// Decodes the chosen channels into a stack, after all checks that need no pixel.
    pub(super) fn stack<S: Space, T: Pixel>(
        &self,
        mut reader: Reader,
        convert: Convert<T>,
    ) -> Result<Stack<S, T>, OpenError> {
        check::<S>(&reader)?;
        let channels = self.channels(&reader)?;
        let pixels = reader.decode(&channels, self.limit, convert)?;
        let layout = reader.layout();
        let extent = S::extent_from_fn(|axis| layout.extent[3 - S::RANK + axis]);
        let shape = S::channel_dim(channels.len(), extent);
        let pixels = Array::from_shape_vec(shape, pixels).map_err(|error| {
            OpenError::Malformed { path: reader.path().to_owned(), reason: error.to_string() }
        })?;
        let names = channels.iter().map(|&channel| layout.channel_names[channel].clone());
        Ok(Stack::from_channels(pixels)
            .with_voxel_size(layout.voxel_size::<S>())
            .with_channel_names(names))
    }

    fn channels(&self, reader: &Reader) -> Result<Vec<usize>, OpenError> {
        let channels = reader.layout().channels;
        match self.channel {
            None => Ok((0..channels).collect()),
            Some(channel) if channel < channels => Ok(vec![channel]),
            Some(asked) => {
                Err(OpenError::Channel { path: reader.path().to_owned(), asked, channels })
            }
        }
    }

    fn single_channel(&self, path: &Path) -> Result<Reader, OpenError> {
        let reader = self.reader(path)?;
        let channels = reader.layout().channels;
        if channels > 1 && self.channel.is_none() {
            return Err(OpenError::ManyChannels { path: path.to_owned(), channels });
        }
        Ok(reader)
    }

    fn labels<S: Space, T: Pixel>(&self, reader: Reader) -> Result<Labels<S>, OpenError> {
        let path = reader.path().to_owned();
        let stack = self.stack::<S, T>(reader, same::<T>)?;
        let values = stack.channel(0);
        let not_an_id = values.iter().position(|&value| id(value).is_none());
        if let Some(offset) = not_an_id {
            let value = values.iter().nth(offset).map_or(f64::NAN, |&value| value.to_f64());
            let index = position(offset, stack.extent().as_ref());
            return Err(OpenError::LabelValue { path, index, value });
        }
        let ids = values.mapv(|value| id(value).unwrap_or_default());
        Ok(Labels::new(ids).with_voxel_size(stack.voxel_size()))
    }
}

fn check<S: Space>(reader: &Reader) -> Result<(), OpenError> {
    let (path, layout) = (reader.path(), reader.layout());
    let (found, expected) = (layout.axes(), Axes::of::<S>());
    if layout.time_points > 1 {
        let time_points = layout.time_points;
        return Err(OpenError::TimeSeries { path: path.to_owned(), time_points });
    }
    if found != expected {
        return Err(OpenError::Axes { path: path.to_owned(), found, expected });
    }
    Ok(())
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

/// The position of a voxel from how many come before it.
fn position(mut offset: usize, extent: &[usize]) -> Vec<usize> {
    let mut index = vec![0; extent.len()];
    for (position, &size) in index.iter_mut().zip(extent).rev() {
        *position = offset % size;
        offset /= size;
    }
    index
}

impl<S: Space, T: Pixel> Stack<S, T> {
    /// Opens an image file of these axes and pixels: TIFF, OME-TIFF or PNG, up to 16 GiB of decoded
    /// pixels. [`OpenOptions`](crate::io::OpenOptions) chooses a channel or a scene, converts, and
    /// lifts the limit; [`AnyStack`](crate::io::AnyStack) takes whatever there is.
    ///
    /// ```
    /// use ndarray::array;
    /// use segmenter_core::{Stack2, Stack3, io::OpenError};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("cells.ome.tiff");
    /// Stack2::new(array![[1_u16, 2], [3, 4]]).save(&path)?;
    ///
    /// assert_eq!(Stack2::<u16>::open(&path)?.extent(), [2, 2]);
    /// assert!(matches!(Stack3::<u16>::open(&path), Err(OpenError::Axes { .. })));
    /// assert!(matches!(Stack2::<u8>::open(&path), Err(OpenError::Pixel { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the file has other axes or pixels, can't be read, is damaged, is a time series or holds
    /// several scenes, or is larger than 16 GiB.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        OpenOptions::new().open(path)
    }
}

impl<S: Space> Labels<S> {
    /// Opens a label image of these axes; see [`OpenOptions::open_labels`](crate::io::OpenOptions).
    ///
    /// # Errors
    /// If the file has other axes or several channels, a value is not a whole number or is negative,
    /// or as for [`Stack::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        OpenOptions::new().open_labels(path)
    }
}

impl<S: Space> Mask<S> {
    /// Opens a mask of these axes: what is above 0 is in it; see
    /// [`OpenOptions::open_mask`](crate::io::OpenOptions).
    ///
    /// # Errors
    /// If the file has other axes or several channels, or as for [`Stack::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        OpenOptions::new().open_mask(path)
    }
}
