//! Every output voxel as a sum over channels and taps: convolutions, and their input gradients.
//!
//! A block of output channels × vectors of neighbouring outputs is held in registers while all
//! channels and taps pass by. A tap is nothing but an offset into the packed image, so kernels of any
//! shape, strides and the phases of a transposed convolution are all the same to it.

use crate::{
    Threads,
    pack::{Element, Layout},
    simd::{Job, LANES, Processor, Simd},
    threads::{Shared, unwritten},
};

/// Vectors that one task computes for all output channels: what it reads stays in the cache.
const TASK: usize = 48;

/// Outputs that lie on a lattice and have their taps at the same offsets.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    /// Which taps of the kernel, and where in the packed image each one lies for the first output.
    pub(crate) taps: Vec<(usize, usize)>,
    /// Elements from one plane's inputs to the next one's.
    pub(crate) plane: usize,
    /// Elements from one row's inputs to the next one's.
    pub(crate) row: usize,
    /// The first output.
    pub(crate) start: [usize; 3],
    /// Voxels from one output to the next.
    pub(crate) step: [usize; 3],
    /// Outputs along each axis.
    pub(crate) count: [usize; 3],
}

/// Where the weight of an output channel, an input channel and a tap lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WeightLayout {
    pub(crate) output: usize,
    pub(crate) input: usize,
}

/// A convolution ready to run on packed images of one extent.
pub(crate) struct Gather {
    /// Elements from one channel of the packed image to the next one.
    pub(crate) channel: usize,
    /// Channels, or pairs of channels, of the packed image.
    pub(crate) channels: usize,
    pub(crate) outputs: usize,
    pub(crate) extent: [usize; 3],
    pub(crate) passes: Vec<Pass>,
    pub(crate) processor: Processor,
    pub(crate) pairs: bool,
}

/// The weights of a pass in the order in which they are used: by group of output channels, by
/// channel, by tap, by output channel.
pub(crate) type PackedWeights = Vec<Vec<f32>>;

/// Sixteen neighbouring lanes of a plane's inputs, and the outputs that they give.
#[derive(Clone, Copy)]
struct Position {
    input: usize,
    runs: [Run; 2],
    /// More runs than two are found in the table from here on.
    more: [u32; 2],
}

/// Lanes that become neighbouring outputs.
#[derive(Clone, Copy, Default)]
struct Run {
    lane: usize,
    len: usize,
    output: usize,
}

impl Gather {
    /// Brings weights into the order in which they are used.
    pub(crate) fn pack_weights(
        &self,
        weights: &[f32],
        layout: WeightLayout,
        inputs: usize,
        threads: Threads,
    ) -> PackedWeights {
        let groups: Vec<_> = groups(self.outputs, self.processor.largest_group()).collect();
        let pack = |pass: &Pass| {
            let row = self.channels * pass.taps.len();
            // SAFETY: the groups are all of the outputs, and each fills all of its part.
            let mut packed = unsafe { unwritten(self.outputs * row) };
            let shared = Shared::new(&mut packed);
            threads.each(groups.len(), |at| {
                let (first, size) = groups[at];
                for output in 0..size {
                    let weights = &weights[(first + output) * layout.output..];
                    let weight = |channel: usize, tap: usize| match channel < inputs {
                        true => weights[channel * layout.input + tap],
                        false => 0.0,
                    };
                    let mut to = first * row + output;
                    for channel in 0..self.channels {
                        for &(tap, _) in &pass.taps {
                            let word = match self.pairs {
                                false => weight(channel, tap),
                                true => {
                                    paired([2 * channel, 2 * channel + 1].map(|c| weight(c, tap)))
                                }
                            };
                            // SAFETY: no two groups have an output in common.
                            unsafe { shared.at(to, 1).write(word) };
                            to += size;
                        }
                    }
                }
            });
            packed
        };
        self.passes.iter().map(pack).collect()
    }

    /// Computes `[outputs][extent]` of one packed image.
    ///
    /// `packed` has to be of `self.channels` channels, with room after them for a vector.
    pub(crate) fn run(
        &self,
        packed: &[f32],
        weights: &PackedWeights,
        bias: Option<&[f32]>,
        output: &mut [f32],
        threads: Threads,
    ) {
        let output = Shared::new(output);
        for (pass, weights) in self.passes.iter().zip(weights) {
            let (positions, runs) = positions(pass, self.extent);
            let chunks = positions.len().div_ceil(TASK);
            threads.each(pass.count[0] * chunks, |task| {
                let (z, chunk) = (task / chunks, task % chunks);
                let end = positions.len().min((chunk + 1) * TASK);
                let task = Task {
                    gather: self,
                    pass,
                    packed: &packed[z * pass.plane..],
                    weights,
                    bias,
                    positions: &positions[chunk * TASK..end],
                    runs: &runs,
                    plane: (z * pass.step[0] + pass.start[0]) * self.extent[1] * self.extent[2],
                    output,
                };
                match self.pairs {
                    false => self.processor.run(task),
                    true => self.processor.run_pairs(task),
                }
            });
        }
    }
}

/// Two weights as one lane.
fn paired(weights: [f32; 2]) -> f32 {
    f32::from_bits(u32::new(weights))
}

/// Cuts a number of channels into groups of the largest size, and a rest of 4, 2 and 1.
pub(crate) fn groups(channels: usize, largest: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let size = [8, 4, 2, 1].into_iter().find(|&size| size <= largest.min(channels - first))?;
        first += size;
        Some((first - size, size))
    })
}

/// Covers a plane of outputs with vectors: row by row if that takes no more of them, or else as one
/// long row, where the lanes between two rows compute nothing of use.
fn positions(pass: &Pass, extent: [usize; 3]) -> (Vec<Position>, Vec<Run>) {
    let [_, rows, columns] = pass.count;
    let mut table = Vec::new();
    if rows == 0 || columns == 0 {
        return (Vec::new(), table);
    }
    let by_row = rows * columns.div_ceil(LANES);
    let flat = ((rows - 1) * pass.row + columns).div_ceil(LANES);
    let starts: Vec<usize> = if by_row <= flat {
        let row = |y: usize| (0..columns).step_by(LANES).map(move |x| y * pass.row + x);
        (0..rows).flat_map(row).collect()
    } else {
        (0..flat).map(|vector| vector * LANES).collect()
    };
    let limit = |start: usize| match by_row <= flat {
        true => start + LANES.min(columns - start % pass.row),
        false => start + LANES,
    };
    let positions = starts.into_iter().map(|start| {
        let mut runs = Vec::new();
        let mut at = start;
        while at < limit(start) && at / pass.row < rows {
            let (y, x) = (at / pass.row, at % pass.row);
            let next = (at - x + pass.row).min(limit(start));
            if x < columns {
                runs.push(Run {
                    lane: at - start,
                    len: (columns - x).min(next - at),
                    output: (y * pass.step[1] + pass.start[1]) * extent[2]
                        + x * pass.step[2]
                        + pass.start[2],
                });
            }
            at = next;
        }
        let run = |at: usize| runs.get(at).copied().unwrap_or_default();
        let first = table.len();
        table.extend(runs.iter().skip(2).copied());
        #[allow(clippy::cast_possible_truncation, reason = "a plane has fewer rows")]
        let more = [first as u32, table.len() as u32];
        Position { input: start, runs: [run(0), run(1)], more }
    });
    let positions = positions.collect();
    (positions, table)
}

/// Some vectors of a plane, for all output channels.
struct Task<'a> {
    gather: &'a Gather,
    pass: &'a Pass,
    packed: &'a [f32],
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    positions: &'a [Position],
    runs: &'a [Run],
    plane: usize,
    output: Shared,
}

impl Job for Task<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let [largest, columns] = S::BLOCK;
        let mut weights = self.weights;
        for (first, size) in groups(self.gather.outputs, largest) {
            let (group, rest) =
                weights.split_at(size * self.gather.channels * self.pass.taps.len());
            weights = rest;
            for positions in self.positions.chunks(columns) {
                // Only what the registers of the processor can hold is ever called.
                match (size, positions.len()) {
                    (8, 3) if largest >= 8 => self.block::<S, 8, 3>(simd, first, group, positions),
                    (8, 2) if largest >= 8 => self.block::<S, 8, 2>(simd, first, group, positions),
                    (8, 1) if largest >= 8 => self.block::<S, 8, 1>(simd, first, group, positions),
                    (4, 3) if columns >= 3 => self.block::<S, 4, 3>(simd, first, group, positions),
                    (4, 2) if columns >= 2 => self.block::<S, 4, 2>(simd, first, group, positions),
                    (4, 1) => self.block::<S, 4, 1>(simd, first, group, positions),
                    (2, 3) if columns >= 3 => self.block::<S, 2, 3>(simd, first, group, positions),
                    (2, 2) if columns >= 2 => self.block::<S, 2, 2>(simd, first, group, positions),
                    (2, 1) => self.block::<S, 2, 1>(simd, first, group, positions),
                    (1, 3) if columns >= 3 => self.block::<S, 1, 3>(simd, first, group, positions),
                    (1, 2) if columns >= 2 => self.block::<S, 1, 2>(simd, first, group, positions),
                    (1, 1) => self.block::<S, 1, 1>(simd, first, group, positions),
                    _ => unreachable!("groups and chunks have no other sizes"),
                }
            }
        }
    }
}

#[allow(clippy::needless_range_loop, reason = "the compiler has to unroll them")]
impl Task<'_> {
    /// `O` output channels from `first` on, of `P` vectors.
    #[inline(always)]
    fn block<S: Simd, const O: usize, const P: usize>(
        &self,
        simd: S,
        first: usize,
        weights: &[f32],
        positions: &[Position],
    ) {
        // Loops over the sums run over numbers that the compiler knows, so that it unrolls them: sums
        // that are found by a computed index are in memory, and the whole takes twice as long.
        let Ok(positions) = <&[Position; P]>::try_from(positions) else { return };
        let channels = self.gather.channels;
        let furthest = self.pass.taps.iter().map(|&(_, offset)| offset).max().unwrap_or(0);
        debug_assert!(positions.iter().all(|position| {
            position.input + furthest + (channels - 1) * self.gather.channel + LANES
                <= self.packed.len()
        }));
        debug_assert_eq!(weights.len(), O * channels * self.pass.taps.len());
        let mut sums = [[simd.zero(); P]; O];
        if let Some(bias) = self.bias {
            for (sums, bias) in sums.iter_mut().zip(&bias[first..first + O]) {
                // SAFETY: a reference to a number can be read.
                *sums = [unsafe { simd.splat(bias) }; P];
            }
        }
        let inputs: [*const f32; P] = std::array::from_fn(|at| {
            // In bounds by the assertion above, but read only below.
            self.packed.as_ptr().wrapping_add(positions[at].input)
        });
        let mut weight = weights.as_ptr();
        for channel in 0..channels {
            for &(_, tap) in &self.pass.taps {
                let offset = channel * self.gather.channel + tap;
                // SAFETY: `Layout` and `Pass` are made such that every position reaches at most a
                // vector past the last channel, where the packed image has slack; the weights are
                // as many as this loop takes, `O` each time.
                unsafe {
                    let mut columns = [simd.zero(); P];
                    for at in 0..P {
                        columns[at] = simd.load(inputs[at].wrapping_add(offset));
                    }
                    for output in 0..O {
                        let value = simd.splat(weight.add(output));
                        for at in 0..P {
                            sums[output][at] =
                                simd.multiply_add(value, columns[at], sums[output][at]);
                        }
                    }
                    weight = weight.add(O);
                }
            }
        }
        let mut lanes = [[[0.0; LANES]; P]; O];
        for output in 0..O {
            for at in 0..P {
                // SAFETY: there are as many lanes.
                unsafe { simd.store(lanes[output][at].as_mut_ptr(), sums[output][at]) };
            }
        }
        for (output, lanes) in lanes.iter().enumerate() {
            for (position, lanes) in positions.iter().zip(lanes) {
                self.write(first + output, position, lanes);
            }
        }
    }

    #[inline(always)]
    fn write(&self, output: usize, position: &Position, lanes: &[f32; LANES]) {
        let [depth, height, width] = self.gather.extent;
        let plane = output * depth * height * width + self.plane;
        let step = self.pass.step[2];
        let [first, second] = position.runs;
        if first.len == LANES && step == 1 {
            let to = self.output.at(plane + first.output, LANES).cast::<[f32; LANES]>();
            // SAFETY: tasks write to different outputs, and these 16 are inside the image.
            return unsafe { to.write_unaligned(*lanes) };
        }
        let more = &self.runs[position.more[0] as usize..position.more[1] as usize];
        for run in [first, second].iter().chain(more) {
            for lane in 0..run.len {
                let at = plane + run.output + lane * step;
                // SAFETY: tasks write to different outputs, and a run is inside the image.
                unsafe { self.output.at(at, 1).write(lanes[run.lane + lane]) };
            }
        }
    }
}

/// The passes of a convolution: one, over all outputs.
pub(crate) fn forward_pass(
    layout: &Layout,
    kernel: [usize; 3],
    stride: [usize; 3],
    count: [usize; 3],
) -> Pass {
    let taps = (0..kernel.iter().product()).map(|tap| (tap, layout.offset(place(tap, kernel))));
    Pass {
        taps: taps.collect(),
        plane: stride[0] * layout.plane(),
        row: layout.row,
        start: [0; 3],
        step: [1; 3],
        count,
    }
}

/// Where in a kernel a tap is.
pub(crate) fn place(tap: usize, [_, y, x]: [usize; 3]) -> [usize; 3] {
    [tap / (y * x), tap / x % y, tap % x]
}
