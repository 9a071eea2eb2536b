//! From a mask to objects: distances, splitting, cleaning up, and tables of what each object is like.
//!
//! Most of it are methods of [`Mask`](crate::Mask) and [`Labels`](crate::Labels):
//!
//! ```
//! use ndarray::Array2;
//! use segmenter_core::{Connectivity, Mask2, VoxelSize, objects::{Length, Split, Volume}};
//!
//! // Two discs that touch.
//! let disc = |y: usize, x: usize, at: usize| y.abs_diff(12).pow(2) + x.abs_diff(at).pow(2) <= 100;
//! let voxels = Array2::from_shape_fn((25, 44), |(y, x)| disc(y, x, 12) || disc(y, x, 31));
//! let mask = Mask2::new(voxels).with_voxel_size(VoxelSize::new([0.5, 0.5])?);
//! assert_eq!(mask.components(Connectivity::Face)?.components.len(), 1);
//!
//! let labels = mask
//!     .fill_holes()?
//!     .split(&Split::new(Length::Micrometres(0.5)))?
//!     .without_small(Volume::Micrometres(10.0))?;
//! let table = labels.measure_shape();
//! assert_eq!(table.objects.len(), 2);
//! assert_eq!(table.objects[0].volume, Some(79.0), "µm²");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Volumes larger than memory are labelled by [`label`] and measured by [`measure`], slab by slab.

mod distance;
mod filter;
mod heap;
mod holes;
mod labelling;
mod majority;
mod maxima;
mod measure;
mod measuring;
mod morphology;
mod neighbours;
mod peaks;
mod physical;
mod relabel;
mod slabs;
mod split;
mod sums;
mod surface;
mod table;
mod table_file;

mod watershed;

pub use distance::Distances;
pub use filter::Sides;
pub use labelling::{Labelled, Labelling, label};
pub use measure::measure;
pub use peaks::Peaks;
pub use physical::{InvalidSize, Length, NoVoxelSize, ObjectsError, Unit, Volume};
pub use slabs::{Progress, StreamError};
pub use split::{Seeds, Split};
pub use table::{Intensity, Object, ObjectTable};
pub use table_file::TableError;
pub use watershed::Watershed;

#[cfg(test)]
mod tests;
