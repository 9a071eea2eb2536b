//! Label images whose objects are told apart from those of others.

use ndarray::Array;
use segmenter_core::{ReadError, Source, Space, VoxelSize, Window};

/// A label image whose ids are raised by a constant; background stays 0.
///
/// When label images are merged, two objects of different images may have the same id, and would
/// become one. The rule that keeps them apart: the ids of the base stay; those of each other image
/// are raised by the largest id of all images before it, which [`above`](Self::above) finds. An
/// object that a region cuts in two keeps its id in both parts.
///
/// ```
/// use ndarray::array;
/// use segmenter_core::{Labels2, Source, Window, Yx};
/// use segmenter_curation::UniqueIds;
///
/// let (a, b) = (Labels2::new(array![[1, 7, 0]]), Labels2::new(array![[0, 1, 2]]));
/// let b = UniqueIds::above(b, UniqueIds::largest(&a)?)?;
/// assert_eq!(b.read(&Window::<Yx>::whole([1, 3]))?, array![[[0, 8, 9]]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct UniqueIds<A> {
    labels: A,
    raise: u32,
    /// The largest id after that; the raise itself if there is none.
    last: u32,
}

/// There are more ids than a label image can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ids of merged label images would go up to {needed}, but a label image holds {max}; \
     renumber the objects of each",
    max = u32::MAX
)]
pub struct TooManyIds {
    /// The largest id that would be needed.
    pub needed: u64,
}

impl UniqueIds<()> {
    /// The largest id of a label image, read slice by slice; 0 if it is empty.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn largest<S: Space>(labels: &(impl Source<S, u32> + ?Sized)) -> Result<u32, ReadError> {
        Window::slices(labels.extent()).try_fold(0, |largest, slice| {
            let ids = labels.read(&slice)?;
            Ok(ids.iter().fold(largest, |largest, &id| largest.max(id)))
        })
    }

    /// A label image whose ids are all above this one. The image is read once, to see that the
    /// largest id still fits.
    ///
    /// # Errors
    /// If the image can't be read, or its largest id would not fit 32 bits.
    pub fn above<S: Space, A: Source<S, u32>>(
        labels: A,
        id: u32,
    ) -> Result<UniqueIds<A>, ReadError> {
        let needed = u64::from(Self::largest(&labels)?) + u64::from(id);
        match u32::try_from(needed) {
            Ok(last) => Ok(UniqueIds { labels, raise: id, last }),
            Err(_) => Err(ReadError::Source(Box::new(TooManyIds { needed }))),
        }
    }
}

impl<A> UniqueIds<A> {
    /// The largest id that is taken: that of the image, or, if it is empty, the one that all of its ids
    /// would be above. The ids of another image have to be above this one.
    #[must_use]
    pub fn last(&self) -> u32 {
        self.last
    }
}

impl<S: Space, A: Source<S, u32>> Source<S, u32> for UniqueIds<A> {
    fn extent(&self) -> S::Extent {
        self.labels.extent()
    }

    fn channels(&self) -> usize {
        self.labels.channels()
    }

    fn voxel_size(&self) -> Option<VoxelSize<S>> {
        self.labels.voxel_size()
    }

    fn read(&self, window: &Window<S>) -> Result<Array<u32, S::ChannelDim>, ReadError> {
        let mut ids = self.labels.read(window)?;
        // What was checked when the image was looked through may have been changed on disk since.
        ids.mapv_inplace(|id| if id == 0 { 0 } else { id.saturating_add(self.raise) });
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use segmenter_core::{Labels2, Yx};

    use super::*;

    #[test]
    fn ids_that_would_not_fit_are_refused() {
        let labels = Labels2::new(array![[u32::MAX, 3]]);
        let error = UniqueIds::above::<Yx, _>(labels, 1).unwrap_err();
        let ReadError::Source(error) = error else { panic!("{error}") };
        let expected = TooManyIds { needed: u64::from(u32::MAX) + 1 };
        assert_eq!(error.downcast_ref::<TooManyIds>(), Some(&expected));
    }
}
