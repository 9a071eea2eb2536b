//! Which files belong together.

mod fault;
mod listing;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

pub use self::fault::{Fault, Faults};
use self::listing::Listing;
use crate::{ImagePath, NamePattern, natural};

/// A folder of images, and how its files are named.
///
/// ```
/// use segmenter_curation::Folder;
///
/// let masks = Folder::new("masks").with_suffix("_mask").with_channel(1);
/// assert_eq!(masks.name_of("cell_7_mask.ome.tiff").as_deref(), Some("cell_7"));
/// assert_eq!(masks.name_of("cell_7.tif").as_deref(), Some("cell_7"), "also without the suffix");
/// assert_eq!(masks.name_of("notes.txt"), None, "not an image");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
    prefix: String,
    suffix: String,
    pattern: Option<NamePattern>,
    channel: Option<usize>,
}

impl Folder {
    /// A folder whose files are named by their image alone.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            prefix: String::new(),
            suffix: String::new(),
            pattern: None,
            channel: None,
        }
    }

    /// The same folder, where names may begin with this.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The same folder, where names may end with this, before `.ome.tif`, `.ome.tiff`, `.tif`,
    /// `.tiff` or `.png`.
    #[must_use]
    pub fn with_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.suffix = suffix.into();
        self
    }

    /// The same folder, where only files of this pattern are meant, and what they have at its braces
    /// is the name of their image. The ending is not part of what is compared; the prefix and the
    /// suffix are taken off first.
    ///
    /// ```
    /// use segmenter_curation::Folder;
    ///
    /// let masks = Folder::new("cells").with_pattern("{}_ch*_mask".parse()?);
    /// assert_eq!(masks.name_of("cell_7_ch2_mask.tif").as_deref(), Some("cell_7"));
    /// assert_eq!(masks.name_of("cell_7_ch2.tif"), None, "another kind of file");
    /// # Ok::<(), segmenter_curation::InvalidPattern>(())
    /// ```
    #[must_use]
    pub fn with_pattern(mut self, pattern: NamePattern) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// The same folder, where this channel of each file is meant, counted from 0.
    #[must_use]
    pub fn with_channel(mut self, channel: usize) -> Self {
        self.channel = Some(channel);
        self
    }

    /// The name of the image that a file belongs to: its own without prefix, suffix and ending.
    /// `None` if by its ending it is no image, or the pattern does not fit it.
    #[must_use]
    pub fn name_of(&self, file: &str) -> Option<String> {
        let stem = segmenter_core::io::image_stem(file)?;
        let stem = stem.strip_prefix(&self.prefix).unwrap_or(stem);
        let stem = stem.strip_suffix(&self.suffix).unwrap_or(stem);
        match &self.pattern {
            Some(pattern) => pattern.find(stem),
            None => Some(stem.to_owned()),
        }
    }
}

impl<P: Into<PathBuf>> From<P> for Folder {
    fn from(path: P) -> Self {
        Self::new(path)
    }
}

/// Pairs the raw images in one folder with their segmentations in one, two or more others, by name.
/// The same folder may stand for several, where the images are channels of one file.
///
/// The name of a file is its own without `.ome.tif`, `.ome.tiff`, `.tif`, `.tiff` or `.png`, and
/// without the prefix and the suffix of its [`Folder`]. Files whose names begin with a dot are passed
/// over. Images come in the order that people expect, `im_2` before `im_10`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairing {
    raw: Folder,
    segmentations: Vec<Folder>,
    pixels: bool,
}

/// An image and its segmentations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What they have in common in their names.
    pub name: String,
    /// The raw image.
    pub raw: ImagePath,
    /// The segmentations, one for each folder of them.
    pub segmentations: Vec<ImagePath>,
}

/// What was found in the folders.
#[derive(Debug)]
pub struct Found {
    /// Images with all of their segmentations and no fault, in natural order.
    pub pairs: Vec<Pair>,
    /// Everything that is wrong.
    pub faults: Vec<Fault>,
    /// Files and folders beside the images that by their names are no images, or not the ones meant.
    pub ignored: Vec<PathBuf>,
}

impl Found {
    /// The pairs, if nothing is wrong.
    ///
    /// # Errors
    /// With everything that is.
    pub fn complete(self) -> Result<Vec<Pair>, Faults> {
        if self.faults.is_empty() { Ok(self.pairs) } else { Err(Faults(self.faults)) }
    }
}

/// A folder can't be listed.
#[derive(Debug, thiserror::Error)]
#[error("{path}: can't be listed; is it a folder?")]
pub struct FolderError {
    /// The folder.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

impl Pairing {
    /// Raw images and one segmentation of each.
    #[must_use]
    pub fn new(raw: impl Into<Folder>, segmentations: impl Into<Folder>) -> Self {
        Self { raw: raw.into(), segmentations: vec![segmentations.into()], pixels: false }
    }

    /// The same with one more segmentation of each.
    #[must_use]
    pub fn with_segmentations(mut self, folder: impl Into<Folder>) -> Self {
        self.segmentations.push(folder.into());
        self
    }

    /// The same, and segmentations are decoded to find those that are empty everywhere.
    #[must_use]
    pub fn looking_at_pixels(mut self) -> Self {
        self.pixels = true;
        self
    }

    /// Lists the folders, pairs the files and checks, without decoding pixels, that they fit.
    ///
    /// # Errors
    /// If a folder can't be listed. What is wrong with files is in [`Found::faults`].
    pub fn pairs(&self) -> Result<Found, FolderError> {
        let folders: Vec<&Folder> = [&self.raw].into_iter().chain(&self.segmentations).collect();
        let mut listings = Vec::new();
        for folder in &folders {
            listings.push(Listing::of(folder)?);
        }
        let mut found = Found { pairs: Vec::new(), faults: Vec::new(), ignored: Vec::new() };
        for listing in &mut listings {
            found.ignored.append(&mut listing.ignored);
        }
        for (name, files) in by_name(listings) {
            let faults = match unique(&name, &folders, &files) {
                Ok(files) => {
                    let pair = self.pair(name, files);
                    let faults = fault::check(&pair, self.pixels);
                    found.pairs.extend(faults.is_empty().then_some(pair));
                    faults
                }
                Err(faults) => faults,
            };
            found.faults.extend(faults);
        }
        Ok(found)
    }

    fn pair(&self, name: String, files: Vec<PathBuf>) -> Pair {
        let folders = [&self.raw].into_iter().chain(&self.segmentations);
        let images = folders.zip(files);
        let mut images =
            images.map(|(folder, file)| ImagePath::new(file).with_channel(folder.channel));
        let raw = images.next().unwrap_or_else(|| ImagePath::new(""));
        Pair { name, raw, segmentations: images.collect() }
    }
}

/// The files of each name in each folder, in natural order of the names.
fn by_name(listings: Vec<Listing>) -> Vec<(String, Vec<Vec<PathBuf>>)> {
    let folders = listings.len();
    let mut names = BTreeMap::<String, Vec<Vec<PathBuf>>>::new();
    for (folder, listing) in listings.into_iter().enumerate() {
        for (name, file) in listing.images {
            names.entry(name).or_insert_with(|| vec![Vec::new(); folders])[folder].push(file);
        }
    }
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_by(|(a, _), (b, _)| natural::compare(a, b));
    names
}

/// The one file in each folder, or what is wrong.
fn unique(
    name: &str,
    folders: &[&Folder],
    files: &[Vec<PathBuf>],
) -> Result<Vec<PathBuf>, Vec<Fault>> {
    let mut faults = Vec::new();
    for (at, (folder, found)) in folders.iter().zip(files).enumerate() {
        match found.len() {
            1 => {}
            0 => faults.push(missing(name, at, &folder.path, files)),
            _ => faults.push(Fault::Ambiguous { name: name.to_owned(), files: found.clone() }),
        }
    }
    if faults.is_empty() { Ok(files.concat()) } else { Err(faults) }
}

fn missing(name: &str, at: usize, folder: &Path, files: &[Vec<PathBuf>]) -> Fault {
    let (name, folder) = (name.to_owned(), folder.to_owned());
    let there = files.concat();
    if at == 0 {
        return Fault::NoRaw { name, folder, segmentations: there };
    }
    Fault::NoSegmentation { name, folder, others: there }
}

#[cfg(test)]
mod tests;
