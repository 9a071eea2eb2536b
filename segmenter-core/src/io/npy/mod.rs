//! NumPy's files: numbers from `.npy` and `.npz`, and the polygons that the Allen Cell Segmenter
//! keeps in `.npy`.
//!
//! The format is that of NumPy's `lib/format.py`, versions 1 to 3. Polygons come as a pickle, which
//! is read as data and never run; see [`pickle`](crate::pickle).
//!
//! ```
//! use segmenter_core::io::{Existing, npy};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("excluding_mask_cell_07.npy");
//! let triangle = vec![[1.0, 1.0], [1.0, 8.5], [8.0, 1.0]];
//! npy::write_polygons(&path, &[triangle.clone()], Existing::Refuse)?;
//! assert_eq!(npy::read_polygons(&path)?, [triangle]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod array;
mod error;
mod header;
mod image;
mod polygons;
mod write;

pub use array::{read_array_f32, read_npz_f32};
pub use error::NpyError;
pub(super) use image::NpyImage;
pub use polygons::read_polygons;
pub(super) use write::grid_header;
pub use write::write_polygons;
