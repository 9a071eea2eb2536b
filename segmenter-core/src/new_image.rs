//! What is about to be written.

use std::{fmt::Debug, marker::PhantomData};

use crate::{Labels, Mask, Pixel, Probability, Space, Stack, VoxelSize};

/// What the values of an image mean, which decides how they are made smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ImageKind {
    /// Measured or computed amounts, whose mean makes sense.
    #[default]
    Intensities,
    /// Ids of objects: no value may appear that no voxel has.
    Labels,
    /// Inside, 1, or outside, 0.
    Mask,
}

/// The description of an image that is about to be written, whatever the format: everything but the
/// voxels.
///
/// `T` is the type in which voxels are stored.
///
/// ```
/// use segmenter_core::{NewImage, VoxelSize, Zyx};
///
/// let image = NewImage::<Zyx, u16>::new([64, 1024, 1024])
///     .with_channel_names([Some("nuclei".to_owned()), None])
///     .with_voxel_size(VoxelSize::new([0.29, 0.108, 0.108])?);
/// assert_eq!(image.channels(), 2);
/// let found = NewImage::<Zyx, u32>::labels(image.extent()).with_voxel_size(image.voxel_size());
/// assert_eq!(found.channels(), 1);
/// # Ok::<(), segmenter_core::InvalidVoxelSize>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NewImage<S: Space, T> {
    extent: S::Extent,
    kind: ImageKind,
    voxel_size: Option<VoxelSize<S>>,
    channel_names: Vec<Option<String>>,
    voxel: PhantomData<fn() -> T>,
}

impl<S: Space, T> NewImage<S, T> {
    /// An image of intensities with one channel, of unknown voxel size.
    #[must_use]
    pub fn new(extent: S::Extent) -> Self {
        Self {
            extent,
            kind: ImageKind::Intensities,
            voxel_size: None,
            channel_names: vec![None],
            voxel: PhantomData,
        }
    }

    /// A label image, of unknown voxel size.
    #[must_use]
    pub fn labels(extent: S::Extent) -> Self {
        Self::new(extent).with_kind(ImageKind::Labels)
    }

    /// A mask, of unknown voxel size.
    #[must_use]
    pub fn mask(extent: S::Extent) -> Self {
        Self::new(extent).with_kind(ImageKind::Mask)
    }

    /// The same image, whose values mean this.
    #[must_use]
    pub fn with_kind(mut self, kind: ImageKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same image with so many channels; those beyond the ones that are named have no name.
    #[must_use]
    pub fn with_channels(mut self, channels: usize) -> Self {
        self.channel_names.resize(channels, None);
        self
    }

    /// The same image with one channel for each of these, which are their names if they have one.
    #[must_use]
    pub fn with_channel_names(mut self, names: impl IntoIterator<Item = Option<String>>) -> Self {
        self.channel_names = names.into_iter().collect();
        self
    }

    /// The same image with this voxel size, or with none.
    #[must_use]
    pub fn with_voxel_size(mut self, size: impl Into<Option<VoxelSize<S>>>) -> Self {
        self.voxel_size = size.into();
        self
    }

    /// Number of voxels along each spatial axis, slowest first.
    #[must_use]
    pub fn extent(&self) -> S::Extent {
        self.extent
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channel_names.len()
    }

    /// The channels' names, in order, where they have one.
    #[must_use]
    pub fn channel_names(&self) -> &[Option<String>] {
        &self.channel_names
    }

    /// The size of a voxel in micrometres, if it is known.
    #[must_use]
    pub fn voxel_size(&self) -> Option<VoxelSize<S>> {
        self.voxel_size
    }

    /// What the values mean.
    #[must_use]
    pub fn kind(&self) -> ImageKind {
        self.kind
    }
}

impl<S: Space, T: Pixel> From<&Stack<S, T>> for NewImage<S, T> {
    fn from(stack: &Stack<S, T>) -> Self {
        Self::new(stack.extent())
            .with_channel_names(stack.channel_names().iter().cloned())
            .with_voxel_size(stack.voxel_size())
    }
}

impl<S: Space> From<&Labels<S>> for NewImage<S, u32> {
    fn from(labels: &Labels<S>) -> Self {
        Self::labels(labels.extent()).with_voxel_size(labels.voxel_size())
    }
}

impl<S: Space> From<&Mask<S>> for NewImage<S, bool> {
    fn from(mask: &Mask<S>) -> Self {
        Self::mask(mask.extent()).with_voxel_size(mask.voxel_size())
    }
}

impl<S: Space> From<&Probability<S>> for NewImage<S, f32> {
    fn from(probability: &Probability<S>) -> Self {
        Self::new(probability.extent()).with_voxel_size(probability.voxel_size())
    }
}
