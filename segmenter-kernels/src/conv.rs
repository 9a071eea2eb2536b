//! Convolutions and their gradients.

use crate::{
    Input, Settings, Threads,
    correlate::Correlate,
    gather::{Gather, PackedWeights, Pass, WeightLayout, forward_pass, place},
    pack::{Element, Layout},
    simd::LANES,
    threads::unwritten,
};

/// The shape of a convolution over volumes; planes have one slice.
///
/// With a kernel that is its stride and no padding, [`input_gradient`](Self::input_gradient) is the
/// transposed convolution in which each voxel becomes a block of voxels.
///
/// ```
/// use segmenter_kernels::{Conv, Input, Settings};
///
/// let conv = Conv { channels: [1, 1], kernel: [1, 1, 3], stride: [1; 3], padding: [0, 0, 1] };
/// let image = [1.0, 2.0, 4.0, 8.0];
/// let sums = conv.forward([1, 1, 4], &[Input::new(&image, 1)], &[1.0; 3], None, Settings::default());
/// assert_eq!(sums, [3.0, 7.0, 14.0, 12.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Channels of the input and of the output.
    pub channels: [usize; 2],
    /// Taps along z, y, x.
    pub kernel: [usize; 3],
    /// Voxels of the input from one output to the next.
    pub stride: [usize; 3],
    /// Zeros around the input, less than the kernel.
    pub padding: [usize; 3],
}

impl Conv {
    /// The extent of the output for an input of this extent.
    ///
    /// # Panics
    /// If the padded input is smaller than the kernel, the padding is not, or something is 0.
    #[must_use]
    pub fn output_extent(&self, extent: [usize; 3]) -> [usize; 3] {
        let positive = [extent, self.kernel, self.stride].concat().iter().all(|&size| size > 0);
        assert!(
            positive && self.channels.iter().all(|&channels| channels > 0),
            "{self:?} of nothing"
        );
        std::array::from_fn(|axis| {
            assert!(
                self.padding[axis] < self.kernel[axis],
                "{self:?} has outputs of padding alone"
            );
            let padded = extent[axis] + 2 * self.padding[axis];
            assert!(padded >= self.kernel[axis], "{self:?} has no output for {extent:?}");
            (padded - self.kernel[axis]) / self.stride[axis] + 1
        })
    }

    /// Numbers in the weight.
    #[must_use]
    pub fn weights(&self) -> usize {
        self.channels.iter().product::<usize>() * self.taps()
    }

    fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Convolves an image.
    ///
    /// # Shapes
    /// - inputs: one after another the channels of the image, of this extent
    /// - weight: `[out, in, z, y, x]`
    /// - bias: `[out]`
    /// - output: `[out, z, y, x]` of the [`output_extent`](Self::output_extent)
    ///
    /// # Panics
    /// If shapes don't fit.
    #[must_use]
    pub fn forward(
        &self,
        extent: [usize; 3],
        inputs: &[Input<'_>],
        weight: &[f32],
        bias: Option<&[f32]>,
        settings: Settings,
    ) -> Vec<f32> {
        Prepared::forward(*self, extent, weight, settings).run(inputs, bias, settings.threads)
    }

    /// The gradient of the input, from that of the output.
    ///
    /// # Shapes
    /// - extent: of the input
    /// - gradients: one after another the channels of the output's gradient
    /// - weight: `[out, in, z, y, x]`
    /// - bias: `[in]`, added to the result
    /// - output: `[in, z, y, x]`
    ///
    /// # Panics
    /// If shapes don't fit.
    #[must_use]
    pub fn input_gradient(
        &self,
        extent: [usize; 3],
        gradients: &[Input<'_>],
        weight: &[f32],
        bias: Option<&[f32]>,
        settings: Settings,
    ) -> Vec<f32> {
        Prepared::backward(*self, extent, weight, settings).run(gradients, bias, settings.threads)
    }

    /// Adds to the gradient of the weight, from a batch of images and the gradients of their outputs.
    ///
    /// # Shapes
    /// - extent: of the input
    /// - inputs: one after another the channels of each image
    /// - gradients: one after another the channels of each output's gradient
    /// - sums: `[out, in, z, y, x]`
    ///
    /// # Panics
    /// If shapes don't fit.
    pub fn add_weight_gradient(
        &self,
        extent: [usize; 3],
        inputs: &[Input<'_>],
        gradients: &[Input<'_>],
        sums: &mut [f32],
        settings: Settings,
    ) {
        assert_eq!(sums.len(), self.weights(), "{self:?} has another number of weights");
        match settings.precision {
            Precision::F32 => self.correlate::<f32>(extent, inputs, gradients, sums, settings),
            Precision::Bf16 => self.correlate::<u16>(extent, inputs, gradients, sums, settings),
        }
    }

    fn correlate<E: Element>(
        &self,
        extent: [usize; 3],
        inputs: &[Input<'_>],
        gradients: &[Input<'_>],
        sums: &mut [f32],
        settings: Settings,
    ) {
        let count = self.output_extent(extent);
        let images = inputs.iter().map(|input| input.channels).sum::<usize>() / self.channels[0];
        check(inputs, images * self.channels[0], extent);
        check(gradients, images * self.channels[1], count);
        let layout = self.layout(extent);
        let plain = Layout::with_rows_of(count, &layout);
        let Settings { processor, threads, .. } = settings;
        let shift = |channel: usize| {
            let layout = &layout;
            (0..self.taps())
                .map(move |tap| channel * layout.channel() + layout.offset(place(tap, self.kernel)))
        };
        let correlate = Correlate {
            rows: [self.channels[1], plain.channel()],
            columns: (0..self.channels[0]).flat_map(shift).collect(),
            images: [
                images,
                self.channels[1] * plain.channel(),
                self.channels[0] * layout.channel(),
            ],
            planes: [count[0], plain.plane(), self.stride[0] * layout.plane()],
            plane: count[1] * plain.row,
            lanes: LANES * size_of::<f32>() / size_of::<E>(),
            processor,
            pairs: size_of::<E>() == 2,
        };
        let left = plain.pack::<E>(gradients, processor, threads);
        let right = layout.pack::<E>(inputs, processor, threads);
        correlate.add(left.slice(), right.slice(), sums, threads);
    }

    /// How the input is packed.
    fn layout(&self, extent: [usize; 3]) -> Layout {
        let count = self.output_extent(extent);
        let reach =
            std::array::from_fn(|axis| (count[axis] - 1) * self.stride[axis] + self.kernel[axis]);
        Layout::new(extent, self.padding, [self.stride[1], self.stride[2]], reach)
    }
}

/// In which numbers a kernel multiplies. Sums are always `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 24 bits of fraction.
    #[default]
    F32,
    /// 8 bits of fraction: values and weights are rounded before they are multiplied, which makes
    /// each off by up to 1/512 of itself.
    Bf16,
}

/// A convolution, or its input gradient, with its weight, ready for images of one extent.
pub struct Prepared {
    layout: Layout,
    gather: Gather,
    weights: PackedWeights,
    /// Channels and extent of what comes in.
    incoming: (usize, [usize; 3]),
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("incoming", &self.incoming)
            .field("outgoing", &(self.gather.outputs, self.gather.extent))
            .finish_non_exhaustive()
    }
}

impl Prepared {
    /// A convolution; see [`Conv::forward`].
    ///
    /// # Panics
    /// If shapes don't fit.
    #[must_use]
    pub fn forward(conv: Conv, extent: [usize; 3], weight: &[f32], settings: Settings) -> Self {
        let count = conv.output_extent(extent);
        let layout = conv.layout(extent);
        let pass = forward_pass(&layout, conv.kernel, conv.stride, count);
        let weights = WeightLayout { output: conv.channels[0] * conv.taps(), input: conv.taps() };
        Self::new(
            conv,
            weight,
            settings,
            Shape {
                layout,
                passes: vec![pass],
                weights,
                incoming: (conv.channels[0], extent),
                outgoing: (conv.channels[1], count),
            },
        )
    }

    /// The gradient of a convolution's input; see [`Conv::input_gradient`].
    ///
    /// # Panics
    /// If shapes don't fit.
    #[must_use]
    pub fn backward(conv: Conv, extent: [usize; 3], weight: &[f32], settings: Settings) -> Self {
        let count = conv.output_extent(extent);
        let phases = [0, 1, 2].map(|axis| Phase::all(&conv, axis, extent[axis]));
        let before = [0, 1, 2].map(|axis: usize| {
            phases[axis].iter().flat_map(|phase| &phase.taps).map(|tap| tap.1).min().unwrap_or(0)
        });
        let before = before.map(|least| usize::try_from(-least.min(0)).unwrap_or(0));
        let reach = [0, 1, 2].map(|axis: usize| {
            phases[axis].iter().map(|phase| phase.reach(before[axis])).max().unwrap_or(1)
        });
        let layout = Layout::new(count, before, [1; 2], reach);
        let mut passes = Vec::new();
        for z in &phases[0] {
            for y in &phases[1] {
                for x in &phases[2] {
                    passes.push(pass(&layout, conv, before, [z, y, x]));
                }
            }
        }
        let weights = WeightLayout { output: conv.taps(), input: conv.channels[0] * conv.taps() };
        Self::new(
            conv,
            weight,
            settings,
            Shape {
                layout,
                passes,
                weights,
                incoming: (conv.channels[1], count),
                outgoing: (conv.channels[0], extent),
            },
        )
    }

    fn new(conv: Conv, weight: &[f32], settings: Settings, shape: Shape) -> Self {
        assert_eq!(weight.len(), conv.weights(), "{conv:?} has another number of weights");
        let pairs = settings.precision == Precision::Bf16;
        let gather = Gather {
            channel: shape.layout.channel(),
            channels: shape.incoming.0.div_ceil(if pairs { 2 } else { 1 }),
            outputs: shape.outgoing.0,
            extent: shape.outgoing.1,
            passes: shape.passes,
            processor: settings.processor,
            pairs,
        };
        let weights =
            gather.pack_weights(weight, shape.weights, shape.incoming.0, settings.threads);
        Self { layout: shape.layout, gather, weights, incoming: shape.incoming }
    }

    /// Channels that come in.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.incoming.0
    }

    /// Computes an image.
    ///
    /// # Panics
    /// If the inputs don't have the shape that this was made for.
    #[must_use]
    pub fn run(&self, inputs: &[Input<'_>], bias: Option<&[f32]>, threads: Threads) -> Vec<f32> {
        let voxels: usize = self.gather.extent.iter().product();
        // SAFETY: the passes reach every voxel of every channel.
        let mut output = unsafe { unwritten(self.gather.outputs * voxels) };
        self.run_into(inputs, bias, &mut output, threads);
        output
    }

    /// Computes an image into memory that is there already.
    ///
    /// # Panics
    /// If the inputs or the output don't have the shapes that this was made for.
    pub fn run_into(
        &self,
        inputs: &[Input<'_>],
        bias: Option<&[f32]>,
        output: &mut [f32],
        threads: Threads,
    ) {
        let Gather { outputs, extent, processor, .. } = self.gather;
        check(inputs, self.incoming.0, self.incoming.1);
        assert_eq!(output.len(), outputs * extent.iter().product::<usize>(), "output");
        assert!(bias.is_none_or(|bias| bias.len() == outputs), "a bias for each output channel");
        if self.gather.pairs {
            let packed = self.layout.pack::<u32>(inputs, processor, threads);
            let packed = packed.as_f32();
            self.gather.run(packed, &self.weights, bias, output, threads);
        } else {
            let packed = self.layout.pack::<f32>(inputs, processor, threads);
            self.gather.run(packed.slice(), &self.weights, bias, output, threads);
        }
    }
}

/// What forward and backward differ in.
struct Shape {
    layout: Layout,
    passes: Vec<Pass>,
    weights: WeightLayout,
    incoming: (usize, [usize; 3]),
    outgoing: (usize, [usize; 3]),
}

/// Voxels of an input along one axis that have the same remainder by the stride, and so the same taps.
struct Phase {
    first: usize,
    count: usize,
    /// Taps that reach such voxels, each with the output that it does so from, relative to the
    /// voxel's number in the phase.
    taps: Vec<(usize, isize)>,
}

impl Phase {
    fn all(conv: &Conv, axis: usize, extent: usize) -> Vec<Self> {
        let [kernel, stride, padding] = [conv.kernel[axis], conv.stride[axis], conv.padding[axis]];
        let phase = |first: usize| {
            let reaching = (0..kernel).filter(|tap| (first + padding) % stride == tap % stride);
            #[allow(clippy::cast_possible_wrap, reason = "extents of kernels are small")]
            let from = |tap: usize| ((first + padding) as isize - tap as isize) / stride as isize;
            Self {
                first,
                count: (extent - first).div_ceil(stride),
                taps: reaching.map(|tap| (tap, from(tap))).collect(),
            }
        };
        (0..stride.min(extent)).map(phase).collect()
    }

    /// How far into the outputs, with `before` zeros ahead of them, the taps reach.
    fn reach(&self, before: usize) -> usize {
        let furthest = self.taps.iter().map(|tap| before.saturating_add_signed(tap.1)).max();
        furthest.unwrap_or(0) + self.count
    }
}

fn pass(layout: &Layout, conv: Conv, before: [usize; 3], phases: [&Phase; 3]) -> Pass {
    let [_, kernel_y, kernel_x] = conv.kernel;
    let at = |axis: usize, from: isize| before[axis].saturating_add_signed(from);
    let mut taps = Vec::new();
    for &(z, from_z) in &phases[0].taps {
        for &(y, from_y) in &phases[1].taps {
            for &(x, from_x) in &phases[2].taps {
                let offset = layout.offset([at(0, from_z), at(1, from_y), at(2, from_x)]);
                taps.push(((z * kernel_y + y) * kernel_x + x, offset));
            }
        }
    }
    Pass {
        taps,
        plane: layout.plane(),
        row: layout.row,
        start: phases.map(|phase| phase.first),
        step: conv.stride,
        count: phases.map(|phase| phase.count),
    }
}

fn check(inputs: &[Input<'_>], channels: usize, extent: [usize; 3]) {
    let found: usize = inputs.iter().map(|input| input.channels).sum();
    assert_eq!(found, channels, "channels");
    let voxels: usize = extent.iter().product();
    for input in inputs {
        assert_eq!(input.values.len(), input.channels * voxels, "voxels of {extent:?}");
    }
}
