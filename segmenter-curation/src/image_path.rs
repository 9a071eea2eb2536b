//! Which file, and which channel of it.

use std::path::{Path, PathBuf};

use segmenter_core::io::OpenOptions;

/// An image file, and the channel of it that is meant.
///
/// ```
/// use segmenter_curation::ImagePath;
///
/// let nuclei = ImagePath::new("cells.ome.tiff").with_channel(1);
/// assert_eq!((nuclei.path().to_str(), nuclei.channel()), (Some("cells.ome.tiff"), Some(1)));
/// assert_eq!(ImagePath::from("mask.tif").channel(), None, "the only one, or all");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImagePath {
    path: PathBuf,
    channel: Option<usize>,
}

impl ImagePath {
    /// All channels of a raw image; the only channel of a segmentation.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), channel: None }
    }

    /// The same file, of which this channel is meant, counted from 0; or all, or the only one.
    #[must_use]
    pub fn with_channel(mut self, channel: impl Into<Option<usize>>) -> Self {
        self.channel = channel.into();
        self
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The channel that is meant, counted from 0; `None` is all channels of a raw image, and the
    /// only channel of a segmentation.
    #[must_use]
    pub fn channel(&self) -> Option<usize> {
        self.channel
    }

    /// How the file is opened so that the channel is what comes.
    pub(crate) fn options(&self) -> OpenOptions {
        let options = OpenOptions::new();
        self.channel.map_or(options, |channel| options.with_channel(channel))
    }
}

impl<P: Into<PathBuf>> From<P> for ImagePath {
    fn from(path: P) -> Self {
        Self::new(path)
    }
}
