//! How an image is saved.

use std::path::Path;

use super::{Compression, Existing, SaveError, picture::Picture, png, tiff::write, write_whole};
use crate::{Labels, Mask, Pixel, Probability, Space, Stack};

/// How to save an image: whether a file may be replaced, and how pixels are packed.
///
/// The name decides the format: `.tif`, `.tiff`, `.ome.tif` and `.ome.tiff` are OME-TIFF, and `.png`
/// is PNG. A file appears whole or not at all.
///
/// OME-TIFF has one page for each plane, the slices of the first channel first, with the voxel size
/// in µm and the channel names in its OME-XML, and is a `BigTIFF` where it may exceed 4 GiB. PNG holds
/// planes of `u8` or `u16` with 1 channel, or 3 or 4 as red, green, blue and opacity, and keeps
/// neither voxel size nor names.
///
/// ```
/// use ndarray::array;
/// use segmenter_core::{Mask2, io::{Compression, Existing, SaveError, SaveOptions}};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("mask.tif");
/// let mask = Mask2::new(array![[true, false]]);
/// mask.save(&path)?;
/// assert!(matches!(mask.save(&path), Err(SaveError::Exists { .. })));
///
/// let replace = SaveOptions::new().with_existing(Existing::Replace);
/// replace.with_compression(Compression::Zstd).save_mask(&mask.inverted(), &path)?;
/// assert_eq!(Mask2::open(&path)?, mask.inverted());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaveOptions {
    existing: Existing,
    compression: Compression,
}

impl SaveOptions {
    /// Refuses to replace a file, and packs with deflate.
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
        let pixels = stack.view();
        let mut picture =
            Picture::new(&pixels, stack.extent(), stack.voxel_size(), |value: T| value);
        picture.channels = stack.channels();
        picture.channel_names = stack.channel_names();
        self.write(picture, path.as_ref())
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
        let (ids, extent, size) = (labels.view(), labels.extent(), labels.voxel_size());
        let picture = if ids.iter().all(|&id| u16::try_from(id).is_ok()) {
            Picture::new(&ids, extent, size, |id| u16::try_from(id).unwrap_or(u16::MAX))
        } else {
            Picture::new(&ids, extent, size, |id: u32| id)
        };
        self.write(picture.rough(), path.as_ref())
    }

    /// Saves a mask in `u8`: 1 inside, 0 outside.
    ///
    /// # Errors
    /// As [`save_stack`](Self::save_stack).
    pub fn save_mask<S: Space>(
        &self,
        mask: &Mask<S>,
        path: impl AsRef<Path>,
    ) -> Result<(), SaveError> {
        let voxels = mask.view();
        let picture = Picture::new(&voxels, mask.extent(), mask.voxel_size(), u8::from);
        self.write(picture.rough(), path.as_ref())
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
        let (voxels, size) = (probability.view(), probability.voxel_size());
        let picture = Picture::new(&voxels, probability.extent(), size, |value: f32| value);
        self.write(picture, path.as_ref())
    }

    fn write(&self, mut picture: Picture<'_>, path: &Path) -> Result<(), SaveError> {
        let format = Format::of(path, &picture)?;
        write_whole(path, self.existing, |file| match format {
            Format::Tiff => write::write(&mut picture, self.compression, file),
            Format::Png => png::write(&mut picture, file),
        })
    }
}

enum Format {
    Tiff,
    Png,
}

impl Format {
    /// The format that a name stands for, if the picture goes into it.
    fn of(path: &Path, picture: &Picture<'_>) -> Result<Self, SaveError> {
        let unsupported = |reason: String| SaveError::Unsupported { path: path.to_owned(), reason };
        if picture.channels == 0 || picture.extent.contains(&0) {
            return Err(unsupported("an image without pixels can't be saved".to_owned()));
        }
        let extension = path.extension().map(|ext| ext.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("tif" | "tiff") => match unwritable_name(picture) {
                Some(reason) => Err(unsupported(reason)),
                None => Ok(Self::Tiff),
            },
            Some("png") => match png::refusal(picture) {
                Some(reason) => Err(unsupported(reason)),
                None => Ok(Self::Png),
            },
            _ => Err(unsupported("the name must end in .ome.tiff, .tiff, .tif or .png".to_owned())),
        }
    }
}

/// XML 1.0, section 2.2: what no document may hold, not even escaped.
fn unwritable_name(picture: &Picture<'_>) -> Option<String> {
    let forbidden = |character: char| {
        matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}')
            || matches!(character, '\u{fffe}' | '\u{ffff}')
    };
    let mut names = picture.channel_names.iter().flatten();
    let name = names.find(|name| name.contains(forbidden))?;
    Some(format!("the channel name {name:?} has a character that OME-XML can't hold; rename it"))
}

impl<S: Space, T: Pixel> Stack<S, T> {
    /// Saves the image as OME-TIFF or PNG, by the name's extension, unless the file exists. See
    /// [`SaveOptions`](crate::io::SaveOptions).
    ///
    /// # Errors
    /// If the file exists, the image does not go into a file of that name, or the file system fails.
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
