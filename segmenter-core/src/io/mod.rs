//! Opening and saving images, and writing files that appear whole or not at all.
//!
//! [`probe`] tells what a file holds. [`Stack::open`](crate::Stack::open),
//! [`Labels::open`](crate::Labels::open) and [`Mask::open`](crate::Mask::open) open what the type
//! says and refuse everything else; [`OpenOptions`] chooses and converts; [`AnyStack`] takes what
//! there is. Each of the grids has a `save`, and [`SaveOptions`] says how.
//!
//! A reader here never guesses in silence: a file that is damaged, holds several images, continues
//! in another file, or is a time series, is an [`OpenError`] that names the file and the way out.

mod any;
mod dataset;
mod error;
mod fault;
mod file_at;
mod format;
mod halve;
mod info;
mod jpeg;
mod layout;
mod name;
pub mod npy;
mod options;
mod picture;
mod png;
mod raster;
mod save;
mod tiff;
mod whole;
#[cfg(feature = "zarr")]
mod zarr;
pub mod zip;

pub use any::{AnyPixels, AnyStack};
pub use dataset::{Dataset, ImageFile};
pub use error::OpenError;
pub use info::{Axes, ImageInfo, LevelInfo, probe};
pub use name::image_stem;
pub use options::OpenOptions;
pub use picture::{Blocks, Compression};
pub use save::SaveOptions;
pub use tiff::TiffWriter;
pub use whole::{Existing, SaveError, write_whole};
#[cfg(feature = "zarr")]
pub use zarr::{ZarrImage, ZarrOptions, ZarrVersion, ZarrWriter};
