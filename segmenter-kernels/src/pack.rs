//! Images laid out for the kernels: padded with zeros, and with strides taken apart into phases, so
//! that a kernel finds the 16 numbers that go into 16 neighbouring outputs side by side.

use crate::{
    Input, Threads,
    scratch::{Plain, Scratch},
    simd::{Job, Processor, Simd},
};

/// Elements past the last channel that a vector may reach into.
const SLACK: usize = 64;

/// Planes start at multiples of this many elements.
const ALIGNMENT: usize = 32;

/// Where each voxel of a packed image lies: `[channel][z][phase y][phase x][y][x]`.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// Extent of the image.
    extent: [usize; 3],
    /// Zeros before it.
    before: [usize; 3],
    /// Into how many phases rows and columns are taken apart.
    phases: [usize; 2],
    planes: usize,
    rows: usize,
    /// Elements from a row to the next one of the same phase.
    pub(crate) row: usize,
}

impl Layout {
    /// Room for everything below `reach`, in voxels of the padded image.
    pub(crate) fn new(
        extent: [usize; 3],
        before: [usize; 3],
        phases: [usize; 2],
        reach: [usize; 3],
    ) -> Self {
        let rows = reach[1].div_ceil(phases[0]);
        Self { extent, before, phases, planes: reach[0], rows, row: reach[2].div_ceil(phases[1]) }
    }

    /// An image as it is, but with rows that lie as far apart as in another layout.
    pub(crate) fn with_rows_of(extent: [usize; 3], other: &Self) -> Self {
        debug_assert!(other.row >= extent[2]);
        let [planes, rows, _] = extent;
        Self { extent, before: [0; 3], phases: [1; 2], planes, rows, row: other.row }
    }

    /// Elements from a plane to the next one.
    pub(crate) fn plane(&self) -> usize {
        (self.phases[0] * self.phases[1] * self.rows * self.row).next_multiple_of(ALIGNMENT)
    }

    /// Elements from a channel to the next one.
    pub(crate) fn channel(&self) -> usize {
        self.planes * self.plane()
    }

    /// Where a voxel of the padded image lies in its channel.
    pub(crate) fn offset(&self, [z, y, x]: [usize; 3]) -> usize {
        let [phases_y, phases_x] = self.phases;
        let phase = (y % phases_y) * phases_x + x % phases_x;
        z * self.plane() + (phase * self.rows + y / phases_y) * self.row + x / phases_x
    }

    /// Lays out an image.
    pub(crate) fn pack<E: Element>(
        &self,
        inputs: &[Input<'_>],
        processor: Processor,
        threads: Threads,
    ) -> Scratch<E> {
        let channels: Vec<Channel<'_>> = inputs.iter().flat_map(Channel::of).collect();
        let len = channels.len().div_ceil(E::CHANNELS) * self.channel();
        let mut packed = Scratch::new(len + SLACK);
        let (values, slack) = packed.slice_mut().split_at_mut(len);
        slack.fill(E::ZERO);
        threads.each_chunk(values, self.plane(), |at, plane| {
            let first = at / self.planes * E::CHANNELS;
            let pair = [channels[first], *channels.get(first + 1).unwrap_or(&Channel::ABSENT)];
            processor.run(Plane { layout: self, pair, z: at % self.planes, plane });
        });
        packed
    }
}

/// What a packed image is made of.
pub(crate) trait Element: Plain {
    /// Channels that one element holds.
    const CHANNELS: usize;

    const ZERO: Self;

    /// An element of the values of its channels, the second of which may be meaningless.
    fn new(values: [f32; 2]) -> Self;

    /// Elements of the values of one channel as they are.
    #[inline(always)]
    fn copy(places: &mut [Self], values: &[f32]) {
        for (place, &value) in places.iter_mut().zip(values) {
            *place = Self::new([value, 0.0]);
        }
    }
}

impl Element for f32 {
    const CHANNELS: usize = 1;
    const ZERO: Self = 0.0;

    #[inline(always)]
    fn new([value, _]: [f32; 2]) -> Self {
        value
    }

    #[inline(always)]
    fn copy(places: &mut [Self], values: &[f32]) {
        places.copy_from_slice(values);
    }
}

/// A number of bfloat16.
impl Element for u16 {
    const CHANNELS: usize = 1;
    const ZERO: Self = 0;

    #[inline(always)]
    fn new([value, _]: [f32; 2]) -> Self {
        bfloat16(value)
    }
}

/// Two channels' numbers of bfloat16, the first one's in the lower half.
impl Element for u32 {
    const CHANNELS: usize = 2;
    const ZERO: Self = 0;

    #[inline(always)]
    fn new([first, second]: [f32; 2]) -> Self {
        Self::from(bfloat16(first)) | Self::from(bfloat16(second)) << 16
    }
}

/// The upper half of the bits, to the nearest, of two that are equally near to the even one.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the upper half of 32 bits")]
fn bfloat16(value: f32) -> u16 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    // Rounding would carry some NaN into the sign.
    let quiet = bits | 0x0040_0000;
    (if value.is_nan() { quiet } else { rounded } >> 16) as u16
}

/// One channel of an image, and what becomes of each value on the way.
#[derive(Clone, Copy)]
struct Channel<'a> {
    values: &'a [f32],
    scale: f32,
    offset: f32,
    slope: f32,
    /// If that leaves all values as they are.
    plain: bool,
}

impl<'a> Channel<'a> {
    /// Stands for the second of a pair where there is none.
    const ABSENT: Self = Channel { values: &[], scale: 0.0, offset: 0.0, slope: 1.0, plain: false };

    fn of(input: &Input<'a>) -> impl Iterator<Item = Self> {
        let Input { values, channels, affine } = *input;
        let voxels = values.len() / channels;
        values.chunks_exact(voxels).enumerate().map(move |(at, values)| match affine {
            None => Self { values, scale: 1.0, offset: 0.0, slope: 1.0, plain: true },
            Some(affine) => Self {
                values,
                scale: affine.scale[at],
                offset: affine.offset[at],
                slope: affine.slope,
                plain: false,
            },
        })
    }

    #[inline(always)]
    fn value(self, value: f32) -> f32 {
        let value = value * self.scale + self.offset;
        if value < 0.0 { value * self.slope } else { value }
    }
}

/// One plane to be laid out.
struct Plane<'a, E> {
    layout: &'a Layout,
    pair: [Channel<'a>; 2],
    z: usize,
    plane: &'a mut [E],
}

impl<E: Element> Job for Plane<'_, E> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Layout { extent, before, phases: [phases_y, phases_x], rows, row, .. } = *self.layout;
        let Some(z) = self.z.checked_sub(before[0]).filter(|&z| z < extent[0]) else {
            return self.plane.fill(E::ZERO);
        };
        let (places, rest) = self.plane.split_at_mut(phases_y * phases_x * rows * row);
        rest.fill(E::ZERO);
        for (at, places) in places.chunks_exact_mut(row).enumerate() {
            let (phase, y) = (at / rows, at % rows);
            let (phase_y, phase_x) = (phase / phases_x, phase % phases_x);
            let y = (y * phases_y + phase_y).checked_sub(before[1]);
            let Some(y) = y.filter(|&y| y < extent[1]) else {
                places.fill(E::ZERO);
                continue;
            };
            let start = (z * extent[1] + y) * extent[2];
            let sources = self
                .pair
                .map(|channel| channel.values.get(start..start + extent[2]).unwrap_or_default());
            // The first place whose voxel is inside, and that voxel.
            let first = before[2].saturating_sub(phase_x).div_ceil(phases_x);
            let x = first * phases_x + phase_x - before[2];
            let inside = extent[2].saturating_sub(x).div_ceil(phases_x).min(row - first);
            let (zeros, places) = places.split_at_mut(first);
            zeros.fill(E::ZERO);
            let (places, zeros) = places.split_at_mut(inside);
            zeros.fill(E::ZERO);
            fill(
                places,
                sources.map(|source| source.get(x..).unwrap_or_default()),
                self.pair,
                phases_x,
            );
        }
    }
}

/// Writes a row of voxels that are `step` apart.
#[inline(always)]
fn fill<E: Element>(
    places: &mut [E],
    [first, second]: [&[f32]; 2],
    [one, two]: [Channel<'_>; 2],
    step: usize,
) {
    if E::CHANNELS == 2 && !second.is_empty() {
        let sources = first.iter().step_by(step).zip(second.iter().step_by(step));
        for (place, (&first, &second)) in places.iter_mut().zip(sources) {
            *place = E::new([one.value(first), two.value(second)]);
        }
    } else if step == 1 && one.plain {
        E::copy(places, &first[..places.len()]);
    } else if step == 1 {
        for (place, &value) in places.iter_mut().zip(first) {
            *place = E::new([one.value(value), 0.0]);
        }
    } else {
        for (place, &value) in places.iter_mut().zip(first.iter().step_by(step)) {
            *place = E::new([one.value(value), 0.0]);
        }
    }
}
