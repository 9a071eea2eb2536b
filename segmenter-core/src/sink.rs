//! Where voxels are written to.

use ndarray::{ArrayView, Dimension};

use crate::{Space, Window, io::SaveError};

/// Something that takes the voxels of an image box by box: a file or store that is larger than
/// memory, or a grid in memory.
///
/// This trait is the mirror of [`Source`](crate::Source): what streaming prediction writes its
/// result into and what a merge is written into as it is computed, so that neither has to know the
/// format. What is written is described once, by a [`NewImage`](crate::NewImage).
///
/// # Boxes
/// A sink stores *blocks*, cells of a lattice that begins at the first voxel; those at the far ends
/// of the axes are cut off there. A box that is written consists of whole blocks, as many as
/// wanted, and boxes come in any order and from any thread. Each block is written once.
/// [`Window::blocks`] walks the blocks one by one; larger boxes are faster where one thread writes,
/// because the blocks of a box are packed on all cores.
///
/// Boxes that are written one after the other in the same order give the same bytes, whatever the
/// number of threads.
///
/// # The end
/// Nothing appears under its final name before [`finish`](Self::finish). A sink that is dropped
/// without it leaves nothing; a process that is killed leaves no more than a file with a temporary
/// name.
///
/// # Example
/// ```
/// use segmenter_core::{Mask3, NewImage, Sink, Source, Window, WriteError, Zyx, io::SaveOptions};
///
/// /// Writes a mask that is computed as it is read, as 0 and 255.
/// fn write(
///     mask: &dyn Source<Zyx, bool>,
///     sink: &dyn Sink<Zyx, u8>,
/// ) -> Result<(), Box<dyn std::error::Error>> {
///     for window in Window::blocks(sink.extent(), sink.block()) {
///         let voxels = mask.read(&window)?.mapv(|inside| if inside { 255 } else { 0 });
///         sink.write(&window, &voxels.view())?;
///     }
///     Ok(())
/// }
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("mask.ome.tiff");
/// let mask = Mask3::all([2, 40, 30]);
/// let sink = SaveOptions::new().create(&NewImage::mask(mask.extent()), &path)?;
/// write(&mask, &sink)?;
/// sink.finish()?;
/// assert_eq!(Mask3::open(&path)?, mask);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Sink<S: Space, T>: Send + Sync {
    /// Number of voxels along each spatial axis, slowest first.
    fn extent(&self) -> S::Extent;

    /// Number of channels; 1 for label images and masks.
    fn channels(&self) -> usize;

    /// The extent of a block, in voxels: boxes begin at its multiples.
    fn block(&self) -> S::Extent;

    /// Writes the voxels of a box, all channels: `[c, z, y, x]` or `[c, y, x]`.
    ///
    /// # Errors
    /// If the box leaves the image or cuts through a block, the voxels are not as many as the box
    /// has, a block was written before, or what lies behind the sink fails. After that last failure
    /// the sink takes nothing more.
    fn write(
        &self,
        window: &Window<S>,
        voxels: &ArrayView<'_, T, S::ChannelDim>,
    ) -> Result<(), WriteError>;

    /// Completes the image: it appears under its name.
    ///
    /// # Errors
    /// If a block was not written, or what lies behind the sink fails, now or before.
    fn finish(self: Box<Self>) -> Result<(), WriteError>;
}

/// Why a box of voxels, or the image that they make up, could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The box is not wholly inside.
    #[error("a window from {start:?} of extent {window:?} leaves an image of extent {grid:?}")]
    Outside {
        /// First voxel to write.
        start: Vec<usize>,
        /// Extent to write.
        window: Vec<usize>,
        /// Extent that there is.
        grid: Vec<usize>,
    },
    /// The box cuts through a block.
    #[error(
        "a window from {start:?} of extent {window:?} cuts through blocks of {block:?}: each axis \
         has to begin at a multiple of the block and end at one or at the end of the image, whose \
         extent is {grid:?}"
    )]
    Unaligned {
        /// First voxel to write.
        start: Vec<usize>,
        /// Extent to write.
        window: Vec<usize>,
        /// Extent of a block.
        block: Vec<usize>,
        /// Extent of the image.
        grid: Vec<usize>,
    },
    /// The voxels are not those of the box.
    #[error("an array of shape {found:?} does not fill a window of shape {expected:?}")]
    Shape {
        /// Channels of the image, and extent of the box.
        expected: Vec<usize>,
        /// Shape of the array.
        found: Vec<usize>,
    },
    /// A block was written before.
    #[error("the voxels from {start:?} on are already written")]
    Twice {
        /// First voxel of the block.
        start: Vec<usize>,
    },
    /// The image is not complete.
    #[error("{missing} of {blocks} blocks are not written; the first begins at voxel {first:?}")]
    Missing {
        /// Number of blocks that were not written.
        missing: u64,
        /// Number of blocks of the image.
        blocks: u64,
        /// First voxel of the first of them.
        first: Vec<usize>,
    },
    /// An earlier failure ended the writing.
    #[error("nothing more is taken, because writing failed before")]
    Ended,
    /// The file could not be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// What lies behind the sink failed.
    #[error("voxels can't be written")]
    Sink(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl WriteError {
    /// Checks that a box lies within a sink, consists of whole blocks, and has these voxels.
    ///
    /// # Errors
    /// If it does not.
    pub fn check<S: Space, T>(
        sink: &(impl Sink<S, T> + ?Sized),
        window: &Window<S>,
        voxels: &ArrayView<'_, T, S::ChannelDim>,
    ) -> Result<(), Self> {
        let (grid, block) = (sink.extent(), sink.block());
        let [start, extent] = [window.start, window.extent].map(|axes| axes.as_ref().to_vec());
        if !window.fits(grid) {
            return Err(Self::Outside { start, window: extent, grid: grid.as_ref().to_vec() });
        }
        let whole = |axis: usize| {
            let (range, size) = (window.range(axis), block.as_ref()[axis]);
            range.start.is_multiple_of(size)
                && (range.end.is_multiple_of(size) || range.end == grid.as_ref()[axis])
        };
        if !(0..S::RANK).all(whole) {
            let [block, grid] = [block, grid].map(|axes| axes.as_ref().to_vec());
            return Err(Self::Unaligned { start, window: extent, block, grid });
        }
        let expected = S::channel_dim(sink.channels(), window.extent);
        if voxels.raw_dim() != expected {
            let found = voxels.shape().to_vec();
            return Err(Self::Shape { expected: expected.slice().to_vec(), found });
        }
        Ok(())
    }
}
