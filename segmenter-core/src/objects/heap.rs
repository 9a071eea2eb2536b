//! The queue of a watershed.

/// A voxel that waits to be flooded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting<M> {
    pub(super) height: f64,
    /// How many voxels were made to wait before.
    pub(super) age: u64,
    pub(super) voxel: usize,
    /// The voxel of the marker that its water comes from, where that matters.
    pub(super) marker: M,
}

impl<M> Waiting<M> {
    /// Whether it comes before another: lower, or as high and waiting for longer.
    fn is_before(&self, other: &Self) -> bool {
        // Heights are numbers, so what is neither below nor equal is above.
        self.height < other.height || (self.height == other.height && self.age < other.age)
    }
}

/// A binary heap, the lowest voxel first.
///
/// Voxels of markers all have the age 0, and which of two that are as high comes first depends on how they
/// are moved about. So they are moved as in scikit-image's heap, or it would show in the result; which is
/// why this isn't the standard library's.
#[derive(Debug, Default)]
pub(super) struct Heap<M> {
    voxels: Vec<Waiting<M>>,
}

impl<M: Copy> Heap<M> {
    pub(super) fn push(&mut self, new: Waiting<M>) {
        let mut child = self.voxels.len();
        self.voxels.push(new);
        while child > 0 {
            let parent = (child - 1) / 2;
            if !new.is_before(&self.voxels[parent]) {
                break;
            }
            self.voxels[child] = self.voxels[parent];
            child = parent;
        }
        self.voxels[child] = new;
    }

    pub(super) fn pop(&mut self) -> Option<Waiting<M>> {
        let last = self.voxels.pop()?;
        let Some(&first) = self.voxels.first() else { return Some(last) };
        let (len, mut parent) = (self.voxels.len(), 0);
        loop {
            let left = 2 * parent + 1;
            if left >= len {
                break;
            }
            let right = left + 1;
            let right_first = right < len && self.voxels[right].is_before(&self.voxels[left]);
            let child = if right_first { right } else { left };
            if !self.voxels[child].is_before(&last) {
                break;
            }
            self.voxels[parent] = self.voxels[child];
            parent = child;
        }
        self.voxels[parent] = last;
        Some(first)
    }
}
