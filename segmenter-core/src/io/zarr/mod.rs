//! OME-Zarr: images as folders of chunks, 0.4 in Zarr 2 and 0.5 in Zarr 3.

mod axes;
mod bomb;
mod chunks;
mod description;
mod folder;
mod metadata;
mod node;
mod options;
mod plan;
mod pyramid;
mod read;
mod staging;
#[cfg(test)]
mod tests;
mod units;
mod write;

pub use options::{ZarrOptions, ZarrVersion};
pub use read::ZarrImage;
pub use write::ZarrWriter;
