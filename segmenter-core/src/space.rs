//! The axis order of a grid, as a type.

use std::{fmt::Debug, hash::Hash};

use ndarray::{Dim, Dimension, Ix2, Ix3, Ix4, RemoveAxis};
use serde::{Serialize, de::DeserializeOwned};

/// The spatial axes of a grid, in the order in which they are stored.
///
/// There are two, [`Yx`] and [`Zyx`]; the trait is sealed. Code that is generic over `Space` serves
/// planes and volumes alike, and the compiler keeps the two apart:
///
/// ```compile_fail
/// use segmenter_core::{Mask2, Mask3};
/// let plane = Mask2::all([4, 4]);
/// let volume = Mask3::all([4, 4, 4]);
/// segmenter_core::metrics::dice(&plane, &volume);
/// ```
pub trait Space:
    sealed::Sealed + Copy + Clone + Debug + Default + PartialEq + Eq + Hash + Send + Sync + 'static
{
    /// Number of spatial axes: 2 or 3.
    const RANK: usize;

    /// The names of the axes, slowest first.
    const AXES: &'static str;

    /// One whole number an axis: `[y, x]` or `[z, y, x]`. Extents, positions and steps have this type.
    type Extent: PerAxis<usize> + Eq + Hash;

    /// One real number an axis, in the same order.
    type Reals: PerAxis<f64>;

    /// The dimension of an [`ndarray`] array over the spatial axes.
    type Dim: Dimension<Larger = Self::ChannelDim> + RemoveAxis;

    /// The same with a leading channel axis.
    type ChannelDim: Dimension<Smaller = Self::Dim> + RemoveAxis;

    /// Makes an extent by asking for each axis, slowest first.
    fn extent_from_fn(f: impl FnMut(usize) -> usize) -> Self::Extent;

    /// Makes one real number an axis by asking for each axis, slowest first.
    fn reals_from_fn(f: impl FnMut(usize) -> f64) -> Self::Reals;

    /// The array dimension of a grid of this extent.
    fn dim(extent: Self::Extent) -> Self::Dim;

    /// The array dimension of a grid of this extent with so many channels.
    fn channel_dim(channels: usize, extent: Self::Extent) -> Self::ChannelDim;

    /// The extent of an array dimension.
    #[must_use]
    fn extent_of(dim: &Self::Dim) -> Self::Extent {
        Self::extent_from_fn(|axis| dim.slice()[axis])
    }

    /// The extent as `[z, y, x]`, where a plane has one slice.
    #[must_use]
    fn to_zyx(extent: Self::Extent) -> [usize; 3] {
        let mut zyx = [1; 3];
        zyx[3 - Self::RANK..].copy_from_slice(extent.as_ref());
        zyx
    }

    /// Number of voxels in an extent, or `None` where that does not fit the machine's `usize`.
    #[must_use]
    fn voxels(extent: Self::Extent) -> Option<usize> {
        extent.as_ref().iter().try_fold(1_usize, |n, &size| n.checked_mul(size))
    }
}

/// An array with one value for each spatial axis: `[T; 2]` or `[T; 3]`.
pub trait PerAxis<T>:
    Copy
    + Debug
    + PartialEq
    + AsRef<[T]>
    + AsMut<[T]>
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<T, A> PerAxis<T> for A where
    A: Copy
        + Debug
        + PartialEq
        + AsRef<[T]>
        + AsMut<[T]>
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// Planes: rows, then columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Yx;

/// Volumes: slices, then rows, then columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Zyx;

impl Space for Yx {
    const RANK: usize = 2;
    const AXES: &'static str = "YX";
    type Extent = [usize; 2];
    type Reals = [f64; 2];
    type Dim = Ix2;
    type ChannelDim = Ix3;

    fn extent_from_fn(f: impl FnMut(usize) -> usize) -> [usize; 2] {
        std::array::from_fn(f)
    }

    fn reals_from_fn(f: impl FnMut(usize) -> f64) -> [f64; 2] {
        std::array::from_fn(f)
    }

    fn dim(extent: [usize; 2]) -> Ix2 {
        Dim(extent)
    }

    fn channel_dim(channels: usize, [y, x]: [usize; 2]) -> Ix3 {
        Dim([channels, y, x])
    }
}

impl Space for Zyx {
    const RANK: usize = 3;
    const AXES: &'static str = "ZYX";
    type Extent = [usize; 3];
    type Reals = [f64; 3];
    type Dim = Ix3;
    type ChannelDim = Ix4;

    fn extent_from_fn(f: impl FnMut(usize) -> usize) -> [usize; 3] {
        std::array::from_fn(f)
    }

    fn reals_from_fn(f: impl FnMut(usize) -> f64) -> [f64; 3] {
        std::array::from_fn(f)
    }

    fn dim(extent: [usize; 3]) -> Ix3 {
        Dim(extent)
    }

    fn channel_dim(channels: usize, [z, y, x]: [usize; 3]) -> Ix4 {
        Dim([channels, z, y, x])
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Yx {}
    impl Sealed for super::Zyx {}
}
