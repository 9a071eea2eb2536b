//! Images that are walked slab by slab.

use ndarray::{Array, Array4, ArrayView3, Axis};

use super::ObjectsError;
use crate::{ExtentMismatch, NonFinite, ReadError, Source, Space, Window, WriteError};

/// Bytes of voxels that are in memory at once, about.
const AT_ONCE: usize = 32 << 20;

/// How far a walk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Number of slices done, or of rows of a plane; of all passes together.
    pub done: usize,
    /// Number of them in all.
    pub total: usize,
}

/// Why an image was not labelled or measured to its end. Nothing appeared under a final name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// What was asked for can't be had.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// Two images that belong together differ in extent.
    #[error(transparent)]
    Extent(#[from] ExtentMismatch),
    /// A mask or label image of several channels, or none.
    #[error("a {what} has one channel, found {found}")]
    Channels {
        /// "mask", "label image" or "sink of labels".
        what: &'static str,
        /// Number of channels.
        found: usize,
    },
    /// A source handed out something else than it was asked for.
    #[error("a source was asked for voxels of shape {expected:?} and handed out {found:?}")]
    Shape {
        /// Channels and extent asked for.
        expected: Vec<usize>,
        /// Shape of what came.
        found: Vec<usize>,
    },
    /// An intensity is not a finite number, so it has no mean with others.
    #[error(transparent)]
    NonFinite(#[from] NonFinite),
    /// Voxels can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Voxels can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The callback said stop.
    #[error("stopped after {} of {} slices", .0.done, .0.total)]
    Stopped(Progress),
}

/// How an image is cut into slabs: whole slices, or rows of a plane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    /// A slab has a multiple of so many slices.
    pub(super) step: usize,
    /// And takes about so many bytes.
    pub(super) bytes: usize,
}

impl Walk {
    /// About 32 MiB in multiples of so many slices.
    pub(super) fn by(step: usize) -> Self {
        Self { step, bytes: AT_ONCE }
    }

    /// The slabs of an image whose voxels take so many bytes.
    pub(super) fn slabs<S: Space>(
        self,
        extent: S::Extent,
        voxel: usize,
    ) -> impl Iterator<Item = Window<S>> {
        let others = extent.as_ref()[1..].iter();
        let slice = others.fold(voxel, |bytes, &size| bytes.saturating_mul(size));
        let step = self.step.max(1);
        let depth = (self.bytes / slice.max(1) / step).max(1) * step;
        let slices = extent.as_ref()[0];
        (0..slices).step_by(depth).map(move |start| {
            let mut window = Window::<S>::whole(extent);
            window.start.as_mut()[0] = start;
            window.extent.as_mut()[0] = depth.min(slices - start);
            window
        })
    }
}

/// The voxels of a slab as slices of one volume a channel, `[c, z, y, x]`. Rows of a plane become slices of
/// one row each, so that it is walked as a volume is.
pub(super) fn read<S: Space, T: Clone>(
    source: &(impl Source<S, T> + ?Sized),
    window: &Window<S>,
) -> Result<Array4<T>, StreamError> {
    let voxels = source.read(window)?;
    as_slices::<S, T>(voxels, source.channels(), window)
}

fn as_slices<S: Space, T: Clone>(
    voxels: Array<T, S::ChannelDim>,
    channels: usize,
    window: &Window<S>,
) -> Result<Array4<T>, StreamError> {
    let expected = [&[channels], window.extent.as_ref()].concat();
    let found = voxels.shape().to_vec();
    let extent = window.extent.as_ref();
    let rows = if S::RANK == 3 { extent[1] } else { 1 };
    let shape = (channels, extent[0], rows, extent[S::RANK - 1]);
    let voxels =
        if voxels.is_standard_layout() { voxels } else { voxels.as_standard_layout().into_owned() };
    if found != expected {
        return Err(StreamError::Shape { expected, found });
    }
    voxels.into_shape_with_order(shape).map_err(|_| StreamError::Shape { expected, found })
}

/// The only channel of a slab.
pub(super) fn only<T>(slab: &Array4<T>) -> ArrayView3<'_, T> {
    slab.index_axis(Axis(0), 0)
}

/// Checks that there is one channel.
pub(super) fn one_channel(what: &'static str, found: usize) -> Result<(), StreamError> {
    if found == 1 { Ok(()) } else { Err(StreamError::Channels { what, found }) }
}

/// A place among slices as one in the image, `[z, y, x]`: the slices of a plane were its rows.
pub(super) fn in_image<S: Space>([z, y, x]: [usize; 3]) -> [usize; 3] {
    if S::RANK == 3 { [z, y, x] } else { [0, z, x] }
}
