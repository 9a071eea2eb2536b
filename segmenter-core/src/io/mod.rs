//! Opening and saving images, and writing files that appear whole or not at all.

mod whole;

pub use whole::{Existing, SaveError, write_whole};
