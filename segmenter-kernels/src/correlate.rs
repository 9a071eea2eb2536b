//! Sums over all voxels of products of two images, one of them shifted: the weight gradient.
//!
//! A block of channels of the one image × shifted channels of the other is held in registers, as
//! vectors of partial sums, while a stretch of voxels passes by. Stretches are short enough for the
//! cache and are gone through in the same order whatever the number of threads.

use crate::{
    Threads,
    gather::groups,
    scratch::{Plain, Scratch},
    simd::{Job, LANES, Processor, Simd},
    threads::Shared,
};

/// Vectors of a stretch: as many of 8 channels fit the first-level cache with the other image's.
const STRETCH: usize = 40;

/// Stretches of 8 channels that fit the second-level cache.
const RESIDENT: usize = 4;

/// Two images in packed form, both with rows equally far apart.
pub(crate) struct Correlate {
    /// Channels of the image that is not shifted, and elements from one to the next.
    pub(crate) rows: [usize; 2],
    /// Where each shifted channel of the other image starts.
    pub(crate) columns: Vec<usize>,
    /// Images of each kind, and elements from one to the next.
    pub(crate) images: [usize; 3],
    /// Planes of the first image, elements from one to the next, and the same of the other image.
    pub(crate) planes: [usize; 3],
    /// Elements of a plane that count; what is in the same vector after them is zero in the first
    /// image.
    pub(crate) plane: usize,
    /// Elements of a vector.
    pub(crate) lanes: usize,
    pub(crate) processor: Processor,
    pub(crate) pairs: bool,
}

/// Neighbouring vectors, by their place in the two images.
#[derive(Clone, Copy)]
struct Segment {
    /// Element of a channel of the first image.
    left: usize,
    /// Element of a channel of the other image.
    right: usize,
    vectors: usize,
}

impl Correlate {
    /// Adds the sums over all pairs of images to `sums`, `[rows][columns]`.
    pub(crate) fn add<E: Plain>(
        &self,
        left: &[E],
        right: &[E],
        sums: &mut [f32],
        threads: Threads,
    ) {
        let stretches = self.stretches();
        let groups: Vec<_> = groups(self.rows[0], self.processor.largest_group()).collect();
        // As many parts as give enough to do. What they are must depend on the shapes alone.
        let parts = (16 / self.rows[0].div_ceil(8)).clamp(1, stretches.len());
        let columns = self.columns.len();
        let mut partial = vec![0.0; parts * sums.len()];
        let shared = Shared::new(&mut partial);
        threads.each(parts * groups.len(), |task| {
            let (part, group) = (task / groups.len(), groups[task % groups.len()]);
            let range = part * stretches.len() / parts..(part + 1) * stretches.len() / parts;
            let task = Task {
                correlate: self,
                left: left.as_ptr().cast(),
                right: right.as_ptr().cast(),
                element: size_of::<E>(),
                ends: [size_of_val(left), size_of_val(right)],
                stretches: &stretches[range],
                group,
                sums: shared,
                first: (part * self.rows[0] + group.0) * columns,
            };
            match self.pairs {
                false => self.processor.run(task),
                true => self.processor.run_pairs(task),
            }
        });
        for part in partial.chunks_exact(sums.len()) {
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
    }

    /// All vectors of the first image, cut into stretches.
    fn stretches(&self) -> Vec<Vec<Segment>> {
        let [planes, left, right] = self.planes;
        let vectors = self.plane.div_ceil(self.lanes);
        let (mut stretches, mut stretch, mut room) = (Vec::new(), Vec::new(), STRETCH);
        let [images, left_image, right_image] = self.images;
        for plane in 0..images * planes {
            let (image, plane) = (plane / planes, plane % planes);
            let mut done = 0;
            while done < vectors {
                let now = room.min(vectors - done);
                stretch.push(Segment {
                    left: image * left_image + plane * left + done * self.lanes,
                    right: image * right_image + plane * right + done * self.lanes,
                    vectors: now,
                });
                done += now;
                room -= now;
                if room == 0 {
                    stretches.push(std::mem::take(&mut stretch));
                    room = STRETCH;
                }
            }
        }
        if !stretch.is_empty() {
            stretches.push(stretch);
        }
        stretches
    }
}

/// Some stretches, for a group of channels of the first image and all columns.
struct Task<'a> {
    correlate: &'a Correlate,
    left: *const u8,
    right: *const u8,
    /// Bytes of an element.
    element: usize,
    /// Bytes of the images.
    ends: [usize; 2],
    stretches: &'a [Vec<Segment>],
    /// The first channel, and how many.
    group: (usize, usize),
    sums: Shared,
    /// Where the sums of the first channel go.
    first: usize,
}

impl Job for Task<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let [_, width] = S::BLOCK;
        let size = self.group.1;
        let columns = &self.correlate.columns;
        // What a task keeps of the first image fits the cache: go through it for each block of columns,
        // and keep one block's sums. Else keep all sums, and go through the images once.
        let together = if self.stretches.len() <= RESIDENT { width } else { columns.len() };
        let mut lanes = Scratch::<f32>::new(together * size * LANES);
        for (number, columns) in columns.chunks(together).enumerate() {
            let lanes = &mut lanes.slice_mut()[..columns.len() * size * LANES];
            lanes.fill(0.0);
            for stretch in self.stretches {
                self.stretch(simd, stretch, columns, lanes);
            }
            self.fold(number * together, lanes);
        }
    }
}

impl Task<'_> {
    /// Adds what a stretch gives to the sums of some columns.
    #[inline(always)]
    fn stretch<S: Simd>(
        &self,
        simd: S,
        stretch: &[Segment],
        columns: &[usize],
        mut lanes: &mut [f32],
    ) {
        let [largest, width] = S::BLOCK;
        let size = self.group.1;
        for columns in columns.chunks(width) {
            let (block, rest) = lanes.split_at_mut(columns.len() * size * LANES);
            lanes = rest;
            match (size, columns.len()) {
                (8, 3) if largest >= 8 => self.block::<S, 8, 3>(simd, stretch, columns, block),
                (8, 2) if largest >= 8 => self.block::<S, 8, 2>(simd, stretch, columns, block),
                (8, 1) if largest >= 8 => self.block::<S, 8, 1>(simd, stretch, columns, block),
                (4, 3) if width >= 3 => self.block::<S, 4, 3>(simd, stretch, columns, block),
                (4, 2) if width >= 2 => self.block::<S, 4, 2>(simd, stretch, columns, block),
                (4, 1) => self.block::<S, 4, 1>(simd, stretch, columns, block),
                (2, 3) if width >= 3 => self.block::<S, 2, 3>(simd, stretch, columns, block),
                (2, 2) if width >= 2 => self.block::<S, 2, 2>(simd, stretch, columns, block),
                (2, 1) => self.block::<S, 2, 1>(simd, stretch, columns, block),
                (1, 3) if width >= 3 => self.block::<S, 1, 3>(simd, stretch, columns, block),
                (1, 2) if width >= 2 => self.block::<S, 1, 2>(simd, stretch, columns, block),
                (1, 1) => self.block::<S, 1, 1>(simd, stretch, columns, block),
                _ => unreachable!("groups and chunks have no other sizes"),
            }
        }
    }

    /// Writes the sums of columns from `first` on.
    #[inline(always)]
    fn fold(&self, first: usize, lanes: &[f32]) {
        let columns = self.correlate.columns.len();
        for (column, lanes) in lanes.chunks_exact(self.group.1 * LANES).enumerate() {
            for (row, lanes) in lanes.chunks_exact(LANES).enumerate() {
                let at = self.first + row * columns + first + column;
                // SAFETY: each task has sums of its own, and these are inside.
                unsafe { self.sums.at(at, 1).write(folded(lanes)) };
            }
        }
    }
}

#[allow(clippy::needless_range_loop, reason = "the compiler has to unroll them")]
impl Task<'_> {
    /// `R` channels of the first image with `C` shifted channels of the other.
    #[inline(always)]
    fn block<S: Simd, const R: usize, const C: usize>(
        &self,
        simd: S,
        stretch: &[Segment],
        columns: &[usize],
        lanes: &mut [f32],
    ) {
        const BYTES: usize = LANES * size_of::<f32>();
        let row = self.correlate.rows[1] * self.element;
        assert_eq!(lanes.len(), R * C * LANES);
        let lanes = lanes.as_mut_ptr();
        // Loops over the sums run over numbers that the compiler knows, so that it unrolls them: sums
        // that are found by a computed index are in memory, and the whole takes twice as long.
        let mut sums = [[simd.zero(); R]; C];
        for column in 0..C {
            for channel in 0..R {
                // SAFETY: there are as many lanes, by the assertion.
                sums[column][channel] =
                    unsafe { simd.load(lanes.add((column * R + channel) * LANES)) };
            }
        }
        for segment in stretch {
            let left = (self.group.0 * self.correlate.rows[1] + segment.left) * self.element;
            let right: [usize; C] =
                std::array::from_fn(|at| (columns[at] + segment.right) * self.element);
            debug_assert!(left + (R - 1) * row + segment.vectors * BYTES <= self.ends[0]);
            debug_assert!(right.iter().all(|at| at + segment.vectors * BYTES <= self.ends[1]));
            for vector in 0..segment.vectors {
                let at = vector * BYTES;
                // SAFETY: a segment is inside the first image's planes, whose size is a multiple of a
                // vector; shifted, it reaches at most a vector past the other image's last channel,
                // where there is slack.
                unsafe {
                    let mut shifted = [simd.zero(); C];
                    for column in 0..C {
                        shifted[column] = simd.load(self.right.add(right[column] + at).cast());
                    }
                    for channel in 0..R {
                        let value = simd.load(self.left.add(left + channel * row + at).cast());
                        for column in 0..C {
                            sums[column][channel] =
                                simd.multiply_add(value, shifted[column], sums[column][channel]);
                        }
                    }
                }
            }
        }
        for column in 0..C {
            for channel in 0..R {
                // SAFETY: as above.
                unsafe {
                    simd.store(lanes.add((column * R + channel) * LANES), sums[column][channel]);
                }
            }
        }
    }
}

/// The sum of the lanes, the upper half added to the lower one until one is left.
#[inline(always)]
pub(crate) fn folded(lanes: &[f32]) -> f32 {
    let mut lanes: [f32; LANES] = std::array::from_fn(|lane| lanes[lane]);
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
    }
    lanes[0]
}
