//! How an image is saved.

use std::{io::Write, path::Path};

use ndarray::{ArrayView, Axis};

use super::{
    Blocks, Compression, Existing, SaveError, TiffWriter, npy, picture::Picture, png, write_whole,
};
use crate::{
    ImageKind, Labels, Mask, NewImage, Pixel, PixelType, Probability, Space, Stack, Window,
    WriteError,
};

/// How to save an image: whether a file may be replaced, and how pixels are packed.
///
/// The name decides the format: `.tif`, `.tiff`, `.ome.tif` and `.ome.tiff` are OME-TIFF, `.png` is
/// PNG, and `.npy` is NumPy's. A file appears whole or not at all.
///
/// OME-TIFF has one page for each plane, the slices of the first channel first, with the voxel size
/// in µm and the channel names in its OME-XML, and is a `BigTIFF` where it may exceed 4 GiB. Pages
/// are divided into tiles and packed with zstd, on all cores. PNG holds planes of `u8` or `u16`
/// with 1 channel, or 3 or 4 as red, green, blue and opacity. `.npy` holds an array `[c, z, y, x]`,
/// without the first axis where there is one channel. Neither keeps voxel size or names.
///
/// ```
/// use ndarray::array;
/// use segmenter_core::{Mask2, io::{Blocks, Compression, Existing, SaveError, SaveOptions}};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("mask.tif");
/// let mask = Mask2::new(array![[true, false]]);
/// mask.save(&path)?;
/// assert!(matches!(mask.save(&path), Err(SaveError::Exists { .. })));
///
/// let replace = SaveOptions::new().with_existing(Existing::Replace);
/// let for_imagej = replace.with_compression(Compression::Deflate).with_blocks(Blocks::Strips);
/// for_imagej.save_mask(&mask.inverted(), &path)?;
/// assert_eq!(Mask2::open(&path)?, mask.inverted());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaveOptions {
    pub(super) existing: Existing,
    pub(super) compression: Compression,
    pub(super) blocks: Blocks,
    pub(super) pyramid: bool,
    pub(super) big: bool,
}

impl SaveOptions {
    /// Refuses to replace a file, and packs tiles with zstd.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What to do when a file of that name is already there.
    #[must_use]
    pub fn with_existing(mut self, existing: Existing) -> Self {
        self.existing = existing;
        self
    }

    /// How pixels are packed in a TIFF file.
    #[must_use]
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// How the planes of a TIFF file are divided.
    #[must_use]
    pub fn with_blocks(mut self, blocks: Blocks) -> Self {
        self.blocks = blocks;
        self
    }

    /// Whether each plane of a TIFF file has smaller copies, for viewers: each with half the rows
    /// and columns of the one before, rounded up, until it has at most 256 of both. They are in
    /// `SubIFDs`, as OME-TIFF has them since version 6.0.
    ///
    /// A pixel of a copy is the mean of 2 x 2 intensities, whole numbers rounded to the nearest and
    /// halves upwards; of labels and masks it is the first of the four.
    #[must_use]
    pub fn with_pyramid(mut self, pyramid: bool) -> Self {
        self.pyramid = pyramid;
        self
    }

    /// Whether a TIFF file is a `BigTIFF` even if it stays below 4 GiB.
    #[must_use]
    pub fn with_big_tiff(mut self, big: bool) -> Self {
        self.big = big;
        self
    }

    /// Begins an OME-TIFF file that is written box by box, without the image ever being in memory.
    ///
    /// ```
    /// use segmenter_core::{Labels3, NewImage, Source, Window, Zyx, io::SaveOptions};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("labels.ome.tiff");
    /// # let source = Labels3::new(ndarray::Array3::from_elem([2, 300, 300], 7));
    /// let image = NewImage::<Zyx, u32>::labels(source.extent()).with_voxel_size(source.voxel_size());
    /// let writer = SaveOptions::new().create(&image, &path)?;
    /// for window in Window::blocks(writer.extent(), writer.block()) {
    ///     writer.write(&window, &source.read(&window)?.view())?;
    /// }
    /// writer.finish()?;
    /// # assert_eq!(Labels3::open(&path)?, source);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the file exists and may not be replaced, the image does not go into OME-TIFF or the name
    /// is that of another format, or the file system fails.
    pub fn create<S: Space, T: Pixel>(
        &self,
        image: &NewImage<S, T>,
        path: impl AsRef<Path>,
    ) -> Result<TiffWriter<S, T>, SaveError> {
        let path = path.as_ref();
        match Format::of(path, image)? {
            Format::Tiff => TiffWriter::create(self, image, path),
            Format::Png | Format::Npy => Err(SaveError::Unsupported {
                path: path.to_owned(),
                reason: "only OME-TIFF is written box by box; the name must end in .ome.tiff, \
                         .tiff or .tif"
                    .to_owned(),
            }),
        }
    }

    /// Saves an image in its own pixel type.
    ///
    /// # Errors
    /// If the file exists and may not be replaced, the image does not go into a file of that name,
    /// or the file system fails.
    pub fn save_stack<S: Space, T: Pixel>(
        &self,
        stack: &Stack<S, T>,
        path: impl AsRef<Path>,
    ) -> Result<(), SaveError> {
        self.save(&NewImage::from(stack), &stack.view(), |value| value, path.as_ref())
    }

    /// Saves a label image in `u16`, or in `u32` if an id is above 65535.
    ///
    /// # Errors
    /// As [`save_stack`](Self::save_stack).
    pub fn save_labels<S: Space>(
        &self,
        labels: &Labels<S>,
        path: impl AsRef<Path>,
    ) -> Result<(), SaveError> {
        let (ids, image) = (labels.view().insert_axis(Axis(0)), NewImage::from(labels));
        if ids.iter().all(|&id| u16::try_from(id).is_ok()) {
            let image =
                NewImage::<S, u16>::labels(image.extent()).with_voxel_size(image.voxel_size());
            let narrow = |id| u16::try_from(id).unwrap_or(u16::MAX);
            return self.save(&image, &ids, narrow, path.as_ref());
        }
        self.save(&image, &ids, |id| id, path.as_ref())
    }

    /// Saves a mask in `u8`: 1 inside, 0 outside. In `.npy` it is boolean.
    ///
    /// # Errors
    /// As [`save_stack`](Self::save_stack).
    pub fn save_mask<S: Space>(
        &self,
        mask: &Mask<S>,
        path: impl AsRef<Path>,
    ) -> Result<(), SaveError> {
        let image = NewImage::mask(mask.extent()).with_voxel_size(mask.voxel_size());
        self.save(&image, &mask.view().insert_axis(Axis(0)), u8::from, path.as_ref())
    }

    /// Saves probabilities in `f32`.
    ///
    /// # Errors
    /// As [`save_stack`](Self::save_stack).
    pub fn save_probability<S: Space>(
        &self,
        probability: &Probability<S>,
        path: impl AsRef<Path>,
    ) -> Result<(), SaveError> {
        let values = probability.view().insert_axis(Axis(0));
        self.save(&NewImage::from(probability), &values, |value| value, path.as_ref())
    }

    /// Saves an image, each value of which is stored through `convert`.
    fn save<S: Space, V: Copy + Sync, T: Pixel>(
        &self,
        image: &NewImage<S, T>,
        values: &ArrayView<'_, V, S::ChannelDim>,
        convert: impl Fn(V) -> T + Sync,
        path: &Path,
    ) -> Result<(), SaveError> {
        let format = Format::of(path, image)?;
        if matches!(format, Format::Tiff) {
            let writer = TiffWriter::create(self, image, path)?;
            let written = writer.write_as(&Window::whole(image.extent()), values, convert);
            return written.and_then(|()| writer.finish()).map_err(|error| save_error(error, path));
        }
        let picture = Picture::new(image, values, convert);
        write_whole(path, self.existing, |file| match format {
            Format::Npy => {
                file.write_all(&npy::grid_header::<S>(
                    image.channels(),
                    image.extent(),
                    dtype(image),
                )?)?;
                file.write_all(&picture.pixels)
            }
            Format::Png | Format::Tiff => png::write(&picture, file),
        })
    }
}

enum Format {
    Tiff,
    Png,
    Npy,
}

impl Format {
    /// The format that a name stands for, if the image goes into it.
    fn of<S: Space, T: Pixel>(path: &Path, image: &NewImage<S, T>) -> Result<Self, SaveError> {
        let unsupported = |reason: String| SaveError::Unsupported { path: path.to_owned(), reason };
        if image.channels() == 0 || image.extent().as_ref().contains(&0) {
            return Err(unsupported("an image without pixels can't be saved".to_owned()));
        }
        let extension = path.extension().map(|ext| ext.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("tif" | "tiff") => Ok(Self::Tiff),
            Some("npy") => Ok(Self::Npy),
            Some("png") => match png::refusal::<S>(image.channels(), image.extent(), T::TYPE) {
                Some(reason) => Err(unsupported(reason)),
                None => Ok(Self::Png),
            },
            Some("jpg" | "jpeg") => Err(unsupported(
                "JPEG changes pixel values, so measurements and labels are lost; save it as \
                 .ome.tiff or .png"
                    .to_owned(),
            )),
            _ => Err(unsupported(
                "the name must end in .ome.tiff, .tiff, .tif, .png or .npy".to_owned(),
            )),
        }
    }
}

/// What a file is written of comes from one box that is the whole image, so the file is all that
/// can fail.
fn save_error(error: WriteError, path: &Path) -> SaveError {
    match error {
        WriteError::Save(error) => error,
        other => SaveError::io(path)(std::io::Error::other(other)),
    }
}

/// NumPy's name of the type of an image's values.
fn dtype<S: Space, T: Pixel>(image: &NewImage<S, T>) -> &'static str {
    match (T::TYPE, image.kind()) {
        (PixelType::Bool, _) | (PixelType::U8, ImageKind::Mask) => "|b1",
        (PixelType::U8, _) => "|u1",
        (PixelType::I8, _) => "|i1",
        (PixelType::U16, _) => "<u2",
        (PixelType::I16, _) => "<i2",
        (PixelType::U32, _) => "<u4",
        (PixelType::I32, _) => "<i4",
        (PixelType::U64, _) => "<u8",
        (PixelType::I64, _) => "<i8",
        (PixelType::F16, _) => "<f2",
        (PixelType::F32, _) => "<f4",
        (PixelType::F64, _) => "<f8",
    }
}

impl<S: Space, T: Pixel> Stack<S, T> {
    /// Saves the image as OME-TIFF, PNG or `.npy`, by the name's extension, unless the file exists.
    /// See [`SaveOptions`](crate::io::SaveOptions).
    ///
    /// # Errors
    /// If the file exists, the image does not go into a file of that name, or the file system
    /// fails.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        SaveOptions::new().save_stack(self, path)
    }
}

impl<S: Space> Labels<S> {
    /// Saves the ids in `u16`, or in `u32` if one is above 65535; otherwise as [`Stack::save`].
    ///
    /// # Errors
    /// As for [`Stack::save`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        SaveOptions::new().save_labels(self, path)
    }
}

impl<S: Space> Mask<S> {
    /// Saves the mask in `u8`, 1 inside and 0 outside; otherwise as [`Stack::save`].
    ///
    /// # Errors
    /// As for [`Stack::save`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        SaveOptions::new().save_mask(self, path)
    }
}

impl<S: Space> Probability<S> {
    /// Saves the probabilities in `f32`; otherwise as [`Stack::save`].
    ///
    /// # Errors
    /// As for [`Stack::save`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        SaveOptions::new().save_probability(self, path)
    }
}
