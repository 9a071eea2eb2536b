//! From a source to a sink, without either being in memory.

use std::ops::ControlFlow;

use crate::{ReadError, Sink, Source, Space, Window, WriteError};

/// Bytes of voxels that are in memory at once, about.
const AT_ONCE: usize = 32 << 20;

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyProgress {
    /// Number of boxes written.
    pub done: usize,
    /// Number of boxes in all.
    pub total: usize,
}

/// Why a copy ended before its end. Nothing appeared under the final name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The source and the sink are not of the same shape.
    #[error("a source of {found:?} voxels and channels does not fill a sink of {expected:?}")]
    Shape {
        /// Channels and extent of the sink.
        expected: Vec<usize>,
        /// Channels and extent of the source.
        found: Vec<usize>,
    },
    /// A box can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A box can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The callback said stop.
    #[error("the copy was stopped after {} of {} boxes", .0.done, .0.total)]
    Stopped(CopyProgress),
}

/// Writes all voxels of a source into a sink, box by box, and completes it: how a merge of volumes that
/// no memory holds, or a computation over one, becomes a file. About 32 MiB of voxels are in memory at
/// once, or one block of the sink where that is more.
///
/// ```
/// use std::ops::ControlFlow;
/// use ndarray::Array3;
/// use segmenter_core::{Labels3, NewImage, Zyx, copy, io::SaveOptions};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("copy.ome.tiff");
/// let labels = Labels3::new(Array3::from_elem((3, 300, 300), 7));
/// let sink = SaveOptions::new().create(&NewImage::<Zyx, u32>::from(&labels), &path)?;
/// copy(&labels, Box::new(sink), |progress| {
///     eprint!("\r{} of {}", progress.done, progress.total);
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!(Labels3::open(&path)?, labels);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the two differ in shape, a box can't be read or written, or the callback says stop.
pub fn copy<S: Space, T>(
    source: &(impl Source<S, T> + ?Sized),
    sink: Box<dyn Sink<S, T> + '_>,
    mut progress: impl FnMut(CopyProgress) -> ControlFlow<()>,
) -> Result<(), CopyError> {
    let shape = |channels: usize, extent: S::Extent| [&[channels], extent.as_ref()].concat();
    let (found, expected) =
        (shape(source.channels(), source.extent()), shape(sink.channels(), sink.extent()));
    if found != expected {
        return Err(CopyError::Shape { expected, found });
    }
    let voxel = size_of::<T>().saturating_mul(source.channels());
    let step = grown::<S>(sink.block(), source.extent(), AT_ONCE / voxel.max(1));
    let total = Window::<S>::blocks(source.extent(), step).count();
    for (at, window) in Window::<S>::blocks(source.extent(), step).enumerate() {
        let voxels = source.read(&window)?;
        sink.write(&window, &voxels.view())?;
        let done = CopyProgress { done: at + 1, total };
        if progress(done).is_break() {
            return Err(CopyError::Stopped(done));
        }
    }
    Ok(sink.finish()?)
}

/// The largest box of whole blocks with about so many voxels, grown along the fastest axis first, so
/// that what is stored together is read together.
fn grown<S: Space>(block: S::Extent, grid: S::Extent, voxels: usize) -> S::Extent {
    let mut step = block;
    for axis in (0..S::RANK).rev() {
        let one = step.as_ref()[axis].max(1);
        let others = step.as_ref().iter().product::<usize>() / one;
        let fitting = (voxels / others.max(1) / one).max(1) * one;
        let needed = grid.as_ref()[axis].div_ceil(one) * one;
        step.as_mut()[axis] = fitting.min(needed);
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Yx, Zyx};

    #[test]
    fn a_box_grows_along_the_fastest_axis_first_by_whole_blocks() {
        assert_eq!(grown::<Zyx>([1, 256, 256], [40, 1000, 1000], 1 << 20), [1, 1024, 1024]);
        assert_eq!(grown::<Zyx>([1, 256, 256], [40, 1000, 1000], 4 << 20), [4, 1024, 1024]);
        assert_eq!(grown::<Zyx>([64, 64, 64], [200, 5000, 5000], 1 << 20), [64, 64, 256]);
        assert_eq!(grown::<Yx>([256, 256], [100, 100], 1), [256, 256], "one block at least");
    }
}
