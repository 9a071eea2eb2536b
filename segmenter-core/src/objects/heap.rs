//! The queue of a watershed.

/// What a voxel that waits for water carries along.
pub(super) trait Ticket: Copy {
    /// For a voxel before which so many were made to wait, and the voxel of the marker that its water comes
    /// from.
    fn new(age: u64, voxel: usize, marker: usize) -> Self;

    /// How many voxels were made to wait before; 0 for those of markers.
    fn age(self) -> u64;

    fn voxel(self) -> usize;
}

/// All of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wide {
    age: u64,
    voxel: usize,
    marker: usize,
}

impl Wide {
    pub(super) fn marker(self) -> usize {
        self.marker
    }
}

impl Ticket for Wide {
    fn new(age: u64, voxel: usize, marker: usize) -> Self {
        Self { age, voxel, marker }
    }

    fn age(self) -> u64 {
        self.age
    }

    fn voxel(self) -> usize {
        self.voxel
    }
}

/// Age and voxel in 64 bits, for images of less than 2^32 voxels each of which waits once. The queue is
/// what a watershed spends its time on, so it matters how much of it fits into the cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Narrow(u64);

impl Ticket for Narrow {
    fn new(age: u64, voxel: usize, _: usize) -> Self {
        Self(age << 32 | voxel as u64)
    }

    fn age(self) -> u64 {
        self.0 >> 32
    }

    #[allow(clippy::cast_possible_truncation, reason = "it was a usize")]
    fn voxel(self) -> usize {
        (self.0 & u64::from(u32::MAX)) as usize
    }
}

/// A voxel that waits to be flooded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting<T> {
    pub(super) height: f64,
    pub(super) ticket: T,
}

impl<T: Ticket> Waiting<T> {
    /// Whether it comes before another: lower, or as high and waiting for longer.
    fn is_before(&self, other: &Self) -> bool {
        // Heights are numbers, so what is neither below nor equal is above.
        self.height < other.height
            || (self.height == other.height && self.ticket.age() < other.ticket.age())
    }
}

/// A binary heap, the lowest voxel first.
///
/// Voxels of markers all have the age 0, and which of two that are as high comes first depends on how they
/// are moved about. So they are moved as in scikit-image's heap, or it would show in the result; which is
/// why this isn't the standard library's.
#[derive(Debug)]
pub(super) struct Heap<T> {
    voxels: Vec<Waiting<T>>,
}

impl<T: Ticket> Heap<T> {
    pub(super) fn new() -> Self {
        Self { voxels: Vec::new() }
    }

    pub(super) fn push(&mut self, new: Waiting<T>) {
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

    pub(super) fn pop(&mut self) -> Option<Waiting<T>> {
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
