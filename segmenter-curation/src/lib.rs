//! Curating what a network learns from: which images are used, which of their voxels count, and
//! which of two segmentations is right where.
//!
//! A data set starts as folders of raw images and of their segmentations. [`Pairing`] finds what
//! belongs together by name and lists everything that is wrong at once. A [`CurationSet`] holds what
//! a person then decides for each image, as [`Record`]s, and keeps it in a file. [`Record::load`]
//! makes the [`Sample`](segmenter_core::Sample) that training takes, and [`split`] says which are
//! trained on and which are only looked at.
//!
//! What a person draws comes from the files of napari, QuPath and ImageJ, from painted masks (all of
//! which [`regions`] reads), from the Allen Cell Segmenter's [`plugin`] files, or from an
//! application's own [`Region`](segmenter_core::Region)s. [`outline`] turns label images into regions.
//!
//! # Example: exclude a polygon
//!
//! Voxels inside it contribute neither to the loss nor to a score.
//!
//! ```
//! use ndarray::Array2;
//! use segmenter_core::{Mask2, Region, Stack2, Yx};
//! use segmenter_curation::{CurationSet, Decision, Pairing};
//!
//! let folder = tempfile::tempdir()?;
//! let (raw, seg) = (folder.path().join("raw"), folder.path().join("seg"));
//! Stack2::new(Array2::<u16>::zeros((64, 64))).save(raw.join("cell_1.tif"))?;
//! Mask2::all([64, 64]).save(seg.join("cell_1.tif"))?;
//!
//! let pairs = Pairing::new(raw, seg).pairs()?.complete()?;
//! let mut set = CurationSet::new(pairs);
//! let debris = Region::polygon([(12.0, 30.5), (40.0, 28.0), (37.5, 61.0)])?;
//! for record in set.records_mut() {
//!     record.exclude(debris.clone());
//!     record.decide(Decision::Use);
//! }
//! set.save(folder.path().join("curation.json"), folder.path())?;
//!
//! let sample = set.records()[0].load::<Yx>()?;
//! assert!(sample.counted().is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Example: merge two segmentations
//!
//! The first, but the second inside the region, read box by box.
//!
//! ```
//! use segmenter_core::{Mask3, Region, Source, Window};
//! use segmenter_curation::Merged;
//!
//! let (first, second) = (Mask3::none([4, 8, 8]), Mask3::all([4, 8, 8]));
//! let square = Region::polygon([(1.0, 1.0), (2.0, 1.0), (2.0, 2.0), (1.0, 2.0)])?;
//! let merged = Merged::new(first, second, [square.through_z(0..=1)])?;
//!
//! let bottom = merged.read(&Window::new([0, 0, 0], [1, 8, 8]))?;
//! assert_eq!(bottom.iter().filter(|&&inside| inside).count(), 4);
//! let top = merged.read(&Window::new([3, 0, 0], [1, 8, 8]))?;
//! assert!(top.iter().all(|&inside| !inside));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod entry;
mod excluded;
pub mod geojson;
mod image_path;
pub mod imagej;
mod load;
mod merged;
mod name_pattern;
pub mod napari;
mod natural;
pub mod outline;
pub mod pairing;
mod path;
pub mod plugin;
pub mod preview;
pub mod quality;
mod record;
pub mod regions;
pub mod review;
mod rule;
pub mod session;
mod set;
mod split;
mod table;
mod unique_ids;

pub use excluded::Excluded;
pub use image_path::ImagePath;
pub use load::LoadError;
pub use merged::{MergeError, Merged};
pub use name_pattern::{InvalidPattern, NamePattern, NoMatch};
pub use pairing::{Folder, Pair, Pairing};
pub use record::{Decision, InvalidSegmentation, Merge, Record};
pub use rule::MergeRule;
pub use session::Session;
pub use set::{CurationSet, SetError};
pub use split::{
    Fingerprint, Fold, GivenSplit, GivenSplitFault, GivenSplitFaults, InvalidShares, Leak,
    LeakGuard, LeakReason, Leaks, Part, Seen, Shares, Split, SplitError, Splitting, split,
};
pub use unique_ids::{TooManyIds, UniqueIds};
