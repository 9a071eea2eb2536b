//! What is known of each object, as plain values.

use crate::Space;

/// One row an object, by ascending id.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectTable<S: Space> {
    /// The objects.
    pub objects: Vec<Object<S>>,
    /// What the channels are called whose intensities were measured: their names, or `channel_0` and so on.
    pub channels: Vec<String>,
}

/// What is known of one object. What is in µm is `None` where the voxel size is not known.
#[derive(Clone, Debug, PartialEq)]
pub struct Object<S: Space> {
    /// Its id in the label image.
    pub id: u32,
    /// Number of voxels.
    pub voxels: u64,
    /// Volume in µm³; in a plane the area in µm².
    pub volume: Option<f64>,
    /// Surface in µm², in a plane the perimeter in µm, by Crofton's formula: from how often lines in 13
    /// directions, in a plane 4, cross it, weighted by the share of each direction, for voxels of any
    /// shape (Legland, Kiêu and Devaux 2007, <https://doi.org/10.5566/ias.v26.p83-92>; MorphoLibJ does
    /// the same). Where pixels are squares, the perimeter is that of scikit-image's `perimeter_crofton`.
    /// Of balls with a radius of 5 voxels and more the surface is right within 2 %. Where
    /// an object is cut off by the border of the image, the cut counts as surface.
    pub surface: Option<f64>,
    /// How close it is to a ball: the surface of a ball of its volume over its surface (Wadell 1935); in a
    /// plane the circularity, 4π·area/perimeter². About 1 for a ball and less for anything else; more, of
    /// objects of a few voxels, is an error of the surface.
    pub sphericity: Option<f64>,
    /// The mean position of its voxels, in voxels: that of the first voxel of the image is 0.
    pub centroid: S::Reals,
    /// The same in µm.
    pub centroid_um: Option<S::Reals>,
    /// The lowest position along each axis, in voxels.
    pub first: S::Extent,
    /// The highest position along each axis.
    pub last: S::Extent,
    /// Whether one of its voxels is at a side of the image.
    pub touches_border: bool,
    /// The intensities in it, channel by channel.
    pub intensities: Vec<Intensity>,
}

/// The intensities of one channel in one object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intensity {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, of the voxels as they are: divided by their number.
    pub sd: f64,
    /// The lowest.
    pub min: f32,
    /// The highest.
    pub max: f32,
    /// Sum.
    pub sum: f64,
}
