//! How an image is opened.

use std::path::Path;

use super::{Dataset, ImageInfo, OpenError, dataset::only_channel, format::Choice};
use crate::{Labels, Mask, Pixel, Space, Stack, Window};

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
/// side or in planes of their own, uncompressed or with LZW, deflate, `PackBits`, Zstandard or JPEG, with
/// or without a predictor; PNG and JPEG planes; and `.npy` arrays of two to four axes,
/// `[y, x]`, `[z, y, x]` or `[c, z, y, x]`. The first bytes decide, not the name.
///
/// Which page of a TIFF file is which plane is told by OME-XML, ImageJ's hyperstacks, or tifffile's
/// shapes; pages without any of these are slices. Samples of a pixel, as in RGB, are channels.
/// Smaller copies in `SubIFDs` are levels. Values are taken as they are stored: an image whose zero is
/// white is not inverted, but colours that JPEG has coded as luma and chroma are RGB again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    scene: Option<usize>,
    time: Option<usize>,
    level: usize,
    channel: Option<usize>,
    limit: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl OpenOptions {
    /// The only scene and time point, all channels at full resolution, and up to 16 GiB of decoded
    /// pixels.
    #[must_use]
    pub fn new() -> Self {
        Self { scene: None, time: None, level: 0, channel: None, limit: LIMIT }
    }

    /// Opens this scene of a file that holds several images, counted from 0.
    #[must_use]
    pub fn with_scene(mut self, scene: usize) -> Self {
        self.scene = Some(scene);
        self
    }

    /// Opens this time point of a series, counted from 0.
    #[must_use]
    pub fn with_time(mut self, time: usize) -> Self {
        self.time = Some(time);
        self
    }

    /// Opens the image at this level of resolution: 0 is the finest.
    #[must_use]
    pub fn with_level(mut self, level: usize) -> Self {
        self.level = level;
        self
    }

    /// Opens this channel alone, counted from 0.
    #[must_use]
    pub fn with_channel(mut self, channel: usize) -> Self {
        self.channel = Some(channel);
        self
    }

    /// Allows so many bytes of decoded pixels. A few bytes of a damaged or hostile file can claim
    /// any size; what is beyond the limit is refused before memory is taken for it. Strips, tiles and
    /// chunks that are being unpacked keep to the limit too: where they are large, fewer threads unpack.
    #[must_use]
    pub fn with_limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Tells what the file holds; see [`probe`](super::probe).
    ///
    /// # Errors
    /// If the file can't be read, is damaged, or holds what is not read here.
    pub fn probe(&self, path: impl AsRef<Path>) -> Result<ImageInfo, OpenError> {
        Ok(self.open_dataset(path)?.info())
    }

    /// Opens a file or store without reading pixels.
    ///
    /// # Errors
    /// If it can't be read, is damaged, or holds what is not read here; if there is no such scene, time
    /// point, level or channel, or there are several scenes and none was chosen.
    pub fn open_dataset(&self, path: impl AsRef<Path>) -> Result<Dataset, OpenError> {
        let Self { scene, time, level, channel, limit } = *self;
        Dataset::with_choice(path.as_ref(), channel, &Choice { scene, time, level, limit })
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
        self.open_dataset(path)?.stack()
    }

    /// Opens an image of these axes and any pixel type as `f32`; see
    /// [`Pixel::to_f32`](crate::Pixel::to_f32) for what is exact.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for the pixel type.
    pub fn open_f32<S: Space>(&self, path: impl AsRef<Path>) -> Result<Stack<S, f32>, OpenError> {
        self.open_dataset(path)?.stack_f32()
    }

    /// Opens a label image of these axes. Any pixel type is fine whose values are whole numbers
    /// that are not negative.
    ///
    /// # Errors
    /// As [`open`](Self::open); if there are several channels and none was chosen; or at the first
    /// value that is not the id of an object.
    pub fn open_labels<S: Space>(&self, path: impl AsRef<Path>) -> Result<Labels<S>, OpenError> {
        let labels = self.single_channel(path.as_ref())?.image::<S>()?;
        let ids = labels.read_ids(&Window::whole(labels.extent()))?;
        Ok(Labels::new(only_channel::<_, S>(ids)).with_voxel_size(labels.voxel_size()))
    }

    /// Opens a mask of these axes: what is above 0 is in it.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for the pixel type; or if there are several channels and none
    /// was chosen.
    pub fn open_mask<S: Space>(&self, path: impl AsRef<Path>) -> Result<Mask<S>, OpenError> {
        let mask = self.single_channel(path.as_ref())?.image::<S>()?;
        let inside = mask.read_inside(&Window::whole(mask.extent()))?;
        Ok(Mask::new(only_channel::<_, S>(inside)).with_voxel_size(mask.voxel_size()))
    }

    fn single_channel(&self, path: &Path) -> Result<Dataset, OpenError> {
        let dataset = self.open_dataset(path)?;
        match dataset.channels() {
            1 => Ok(dataset),
            channels => Err(OpenError::ManyChannels { path: path.to_owned(), channels }),
        }
    }
}

impl<S: Space, T: Pixel> Stack<S, T> {
    /// Opens an image file of these axes and pixels, up to 16 GiB of decoded
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
