//! An image on its way into a file, whatever the format.

use ndarray::{ArrayView, Dimension};

use crate::{Pixel, PixelType, Space, VoxelSize};

/// How pixels are packed in a TIFF file. A PNG file is always packed with deflate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Deflate, also called zlib: every reader opens it.
    #[default]
    Deflate,
    /// Zstandard: several times faster, but ImageJ without Bio-Formats does not open it.
    Zstd,
}

/// An image as it goes into a file.
pub(super) struct Picture<'a> {
    pub(super) channels: usize,
    /// `[z, y, x]`, where a plane has one slice.
    pub(super) extent: [usize; 3],
    pub(super) pixel: PixelType,
    /// The distance from voxel to voxel in µm, `[z, y, x]`.
    pub(super) spacing: [Option<f64>; 3],
    pub(super) channel_names: &'a [Option<String>],
    /// Whether neighbours are alike but not the same, so that differences pack better.
    pub(super) smooth: bool,
    /// Little-endian pixels of each plane, the slices of the first channel first.
    pub(super) planes: Box<dyn Iterator<Item = Vec<u8>> + 'a>,
}

impl<'a> Picture<'a> {
    /// An image of one channel, each value of which is stored through `convert`.
    pub(super) fn new<S: Space, D: Dimension, V: Copy, T: Pixel>(
        values: &'a ArrayView<'_, V, D>,
        extent: S::Extent,
        voxel_size: Option<VoxelSize<S>>,
        convert: impl Fn(V) -> T + 'a,
    ) -> Self {
        let mut spacing = [None; 3];
        if let Some(size) = voxel_size {
            let known = spacing[3 - S::RANK..].iter_mut();
            known.zip(size.micrometres().as_ref()).for_each(|(to, &from)| *to = Some(from));
        }
        let extent = S::to_zyx(extent);
        Self {
            channels: 1,
            extent,
            pixel: T::TYPE,
            spacing,
            channel_names: &[None],
            smooth: true,
            planes: Box::new(planes(values, extent[1] * extent[2], convert)),
        }
    }

    /// The same picture, whose neighbours are mostly equal.
    pub(super) fn rough(mut self) -> Self {
        self.smooth = false;
        self
    }

    /// Number of pixels in one plane.
    pub(super) fn plane(&self) -> usize {
        self.extent[1] * self.extent[2]
    }
}

fn planes<'a, D: Dimension, V: Copy, T: Pixel>(
    values: &'a ArrayView<'_, V, D>,
    plane: usize,
    convert: impl Fn(V) -> T + 'a,
) -> impl Iterator<Item = Vec<u8>> + 'a {
    let mut values = values.iter();
    std::iter::from_fn(move || {
        let mut bytes = Vec::with_capacity(plane * T::TYPE.bytes());
        values.by_ref().take(plane).for_each(|&value| convert(value).extend_le_bytes(&mut bytes));
        (!bytes.is_empty()).then_some(bytes)
    })
}
