//! Intensities.

use ndarray::{Array, ArrayView, Axis};

use crate::{NonFinite, Pixel, ReadError, Space, VoxelSize, Window, Yx, Zyx, grid::contiguous};

/// An image of intensities with one or more channels, stored as `[c, z, y, x]` or `[c, y, x]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack<S: Space, T: Pixel> {
    pixels: Array<T, S::ChannelDim>,
    voxel_size: Option<VoxelSize<S>>,
    channel_names: Vec<Option<String>>,
}

/// A [`Stack`] over a plane, `[c, y, x]`.
pub type Stack2<T> = Stack<Yx, T>;

/// A [`Stack`] over a volume, `[c, z, y, x]`.
pub type Stack3<T> = Stack<Zyx, T>;

impl<S: Space, T: Pixel> Stack<S, T> {
    /// A stack of one channel, of unknown voxel size.
    #[must_use]
    pub fn new(pixels: Array<T, S::Dim>) -> Self {
        Self::from_channels(pixels.insert_axis(Axis(0)))
    }

    /// A stack from an array with a leading channel axis, of unknown voxel size.
    #[must_use]
    pub fn from_channels(pixels: Array<T, S::ChannelDim>) -> Self {
        let pixels = contiguous(pixels);
        let channels = pixels.len_of(Axis(0));
        Self { pixels, voxel_size: None, channel_names: vec![None; channels] }
    }

    /// Number of voxels along each spatial axis, slowest first.
    #[must_use]
    pub fn extent(&self) -> S::Extent {
        S::extent_from_fn(|axis| self.pixels.len_of(Axis(axis + 1)))
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.pixels.len_of(Axis(0))
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

    /// The same stack with this voxel size, or with none.
    #[must_use]
    pub fn with_voxel_size(mut self, size: impl Into<Option<VoxelSize<S>>>) -> Self {
        self.voxel_size = size.into();
        self
    }

    /// The same stack with these channel names; channels beyond the last name have none.
    #[must_use]
    pub fn with_channel_names(mut self, names: impl IntoIterator<Item = Option<String>>) -> Self {
        let channels = self.channels();
        self.channel_names = names.into_iter().take(channels).collect();
        self.channel_names.resize(channels, None);
        self
    }

    /// The pixels, `[c, z, y, x]` or `[c, y, x]`.
    #[must_use]
    pub fn view(&self) -> ArrayView<'_, T, S::ChannelDim> {
        self.pixels.view()
    }

    /// The pixels of one channel.
    ///
    /// # Panics
    /// If there is no such channel.
    #[must_use]
    pub fn channel(&self, channel: usize) -> ArrayView<'_, T, S::Dim> {
        self.pixels.index_axis(Axis(0), channel)
    }

    /// A stack of one of this stack's channels, or `None` if there is no such channel.
    #[must_use]
    pub fn select_channel(&self, channel: usize) -> Option<Self> {
        let name = self.channel_names.get(channel)?.clone();
        let stack = Self::new(self.channel(channel).to_owned());
        Some(stack.with_voxel_size(self.voxel_size).with_channel_names([name]))
    }

    /// The part of the image that a window covers, all channels.
    ///
    /// # Errors
    /// If the window leaves the image.
    pub fn crop(&self, window: &Window<S>) -> Result<Self, ReadError> {
        ReadError::check(window, self.extent())?;
        let pixels = window.view_channels(&self.view()).as_standard_layout().into_owned();
        let channel_names = self.channel_names.clone();
        Ok(Self { pixels, voxel_size: self.voxel_size, channel_names })
    }

    /// The pixels without the stack around them.
    #[must_use]
    pub fn into_array(self) -> Array<T, S::ChannelDim> {
        self.pixels
    }

    /// The same image in `f32`; see [`Pixel::to_f32`] for what is exact.
    #[must_use]
    pub fn to_f32(&self) -> Stack<S, f32> {
        Stack {
            pixels: self.pixels.mapv(T::to_f32),
            voxel_size: self.voxel_size,
            channel_names: self.channel_names.clone(),
        }
    }

    /// Checks that every intensity is a finite number.
    ///
    /// # Errors
    /// With the position of the first that is not.
    pub fn check_finite(&self) -> Result<(), NonFinite> {
        NonFinite::check(&self.view())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_voxel_that_is_not_a_number_is_named_by_its_position() {
        let stack = Stack2::new(array![[0.0, 1.0], [f32::NAN, 3.0]]);
        let error = stack.check_finite().unwrap_err();
        assert_eq!(error.index, [0, 1, 0]);
        assert!(error.value.is_nan());
        assert_eq!(Stack2::new(array![[0_u8, 1]]).check_finite(), Ok(()));
    }

    #[test]
    fn a_selected_channel_keeps_its_name_and_voxel_size() {
        let size = VoxelSize::new([0.5, 0.25]).unwrap();
        let stack = Stack2::from_channels(array![[[1_u16]], [[2]]])
            .with_voxel_size(size)
            .with_channel_names([None, Some("nuclei".to_owned())]);
        let second = stack.select_channel(1).unwrap();
        assert_eq!(second.view(), array![[[2_u16]]]);
        assert_eq!(second.voxel_size(), Some(size));
        assert_eq!(second.channel_names(), [Some("nuclei".to_owned())]);
        assert_eq!(stack.select_channel(2), None);
    }

    #[test]
    fn a_crop_keeps_all_channels_and_the_voxel_size() {
        let size = VoxelSize::new([0.5, 0.25]).unwrap();
        let stack =
            Stack2::from_channels(array![[[1_u8, 2, 3]], [[4, 5, 6]]]).with_voxel_size(size);
        let crop = stack.crop(&Window::new([0, 1], [1, 2])).unwrap();
        assert_eq!(crop.view(), array![[[2_u8, 3]], [[5, 6]]]);
        assert_eq!(crop.voxel_size(), Some(size));
        assert!(stack.crop(&Window::new([0, 2], [1, 2])).is_err());
    }
}
