//! What training learns from.

use std::{fmt, sync::Arc};

use crate::{ExtentMismatch, Source, Space};

/// One image to learn from: the raw image, which of its voxels are foreground, and which of its
/// voxels count.
///
/// Curation makes samples and training takes them; neither knows the other.
///
/// ```
/// use ndarray::Array2;
/// use segmenter_core::{Mask2, Sample, Stack2};
///
/// let raw = Stack2::new(Array2::<u8>::zeros((32, 32)));
/// let target = Mask2::none([32, 32]);
/// let sample = Sample::new("well_A1", raw, target)?;
/// assert_eq!(sample.extent(), [32, 32]);
/// # Ok::<(), segmenter_core::SampleError>(())
/// ```
#[derive(Clone)]
pub struct Sample<S: Space> {
    name: String,
    raw: Arc<dyn Source<S, f32>>,
    target: Arc<dyn Source<S, bool>>,
    counted: Option<Arc<dyn Source<S, bool>>>,
}

/// Parts that do not make a sample.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sample `{name}`: the {part} does not fit the raw image")]
pub struct SampleError {
    /// The sample's name.
    pub name: String,
    /// "target" or "mask of counted voxels".
    pub part: &'static str,
    /// What differs.
    pub source: ExtentMismatch,
}

impl<S: Space> Sample<S> {
    /// A sample of which every voxel counts. Any [`Source`] serves for either part: a [`Stack`](crate::Stack)
    /// and a [`Mask`](crate::Mask) in memory, or something that reads as it goes.
    ///
    /// # Errors
    /// If the extents differ.
    pub fn new(
        name: impl Into<String>,
        raw: impl Source<S, f32> + 'static,
        target: impl Source<S, bool> + 'static,
    ) -> Result<Self, SampleError> {
        let name = name.into();
        check(&name, "target", target.extent(), raw.extent())?;
        Ok(Self { name, raw: Arc::new(raw), target: Arc::new(target), counted: None })
    }

    /// The same sample, of which only the voxels inside this mask count: the others contribute
    /// neither to the loss nor to a score.
    ///
    /// # Errors
    /// If the extents differ.
    pub fn with_counted(
        mut self,
        counted: impl Source<S, bool> + 'static,
    ) -> Result<Self, SampleError> {
        check(&self.name, "mask of counted voxels", counted.extent(), self.raw.extent())?;
        self.counted = Some(Arc::new(counted));
        Ok(self)
    }

    /// What the sample is called in messages and reports. Two samples of one name are taken for the
    /// same image.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of voxels along each axis, slowest first.
    #[must_use]
    pub fn extent(&self) -> S::Extent {
        self.raw.extent()
    }

    /// The raw image.
    #[must_use]
    pub fn raw(&self) -> &dyn Source<S, f32> {
        self.raw.as_ref()
    }

    /// Which voxels are foreground.
    #[must_use]
    pub fn target(&self) -> &dyn Source<S, bool> {
        self.target.as_ref()
    }

    /// Which voxels count; `None` if all do.
    #[must_use]
    pub fn counted(&self) -> Option<&dyn Source<S, bool>> {
        self.counted.as_deref()
    }
}

impl<S: Space> fmt::Debug for Sample<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample")
            .field("name", &self.name)
            .field("extent", &self.extent())
            .field("all_counted", &self.counted.is_none())
            .finish_non_exhaustive()
    }
}

fn check(
    name: &str,
    part: &'static str,
    found: impl AsRef<[usize]>,
    expected: impl AsRef<[usize]>,
) -> Result<(), SampleError> {
    ExtentMismatch::check(found, expected).map_err(|source| SampleError {
        name: name.to_owned(),
        part,
        source,
    })
}
