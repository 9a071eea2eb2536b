//! What every format of images can do, and how a file's format is told.

use std::{fmt, fs::File, io::Read, io::Seek, path::Path};

use super::{
    OpenError,
    fault::{Fault, guarded},
    layout::Layout,
    npy::NpyImage,
    raster::Raster,
    tiff::Tiff,
};
use crate::{Window, Zyx};

/// An image of a file or store that is open: what it is, is known, and pixels of any box of it can be
/// read from several threads at once.
pub(super) trait Format: fmt::Debug + Send + Sync {
    fn layout(&self) -> &Layout;

    /// How many slices are best read at once, from a multiple of that on.
    fn slab(&self) -> usize {
        1
    }

    /// Bytes of the largest strip, tile or chunk when it is unpacked. Each thread that reads has one in
    /// memory.
    fn piece_bytes(&self) -> u64 {
        0
    }

    /// Reads a box of these channels, which ascend, each into a place `[z, y, x]`, little-endian. The
    /// box is within the image. No single piece that is stored as a whole may take more bytes than the
    /// limit.
    fn read(
        &self,
        channels: &[usize],
        window: &Window<Zyx>,
        limit: u64,
        out: &mut [&mut [u8]],
    ) -> Result<(), Fault>;
}

/// Which of the images in a file is meant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) scene: Option<usize>,
    pub(super) time: Option<usize>,
    pub(super) level: usize,
    pub(super) limit: u64,
}

/// The scene that is meant, of so many; the only one if none was chosen.
pub(super) fn choose_scene(scene: Option<usize>, scenes: usize) -> Result<usize, Fault> {
    match scene {
        None if scenes == 1 => Ok(0),
        Some(asked) if asked < scenes => Ok(asked),
        None if scenes > 1 => Err(Fault::ManyScenes(scenes)),
        _ => Err(Fault::Scene { asked: scene.unwrap_or_default(), scenes }),
    }
}

impl Choice {
    /// The time point that is meant; the first if none was chosen, so that it can be told how many
    /// there are.
    pub(super) fn time_of(&self, time_points: usize) -> Result<usize, Fault> {
        match self.time {
            Some(asked) if asked >= time_points => Err(Fault::Time { asked, time_points }),
            time => Ok(time.unwrap_or(0)),
        }
    }

    /// The level that is meant, of so many.
    pub(super) fn level_of(&self, levels: usize) -> Result<usize, Fault> {
        if self.level < levels {
            return Ok(self.level);
        }
        Err(Fault::Level { asked: self.level, levels })
    }

    /// For formats that hold one image.
    pub(super) fn only_one(&self) -> Result<(), Fault> {
        choose_scene(self.scene, 1)?;
        self.time_of(1)?;
        self.level_of(1)?;
        Ok(())
    }
}

/// Opens a file and reads everything but its pixels. The format is told by the first bytes.
pub(super) fn open(path: &Path, choice: &Choice) -> Result<Box<dyn Format>, OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    if path.is_dir() {
        return open_folder(path, choice);
    }
    let mut file = File::open(path).map_err(io)?;
    let mut start = Vec::new();
    file.by_ref().take(8).read_to_end(&mut start).map_err(io)?;
    file.rewind().map_err(io)?;
    match start.as_slice() {
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => {
            guarded(path, || Ok(Box::new(Tiff::open(file, path, choice)?) as Box<dyn Format>))
        }
        b"\x89PNG\r\n\x1a\n" => {
            guarded(path, || Ok(Box::new(Raster::open_png(file, choice)?) as Box<dyn Format>))
        }
        [0xFF, 0xD8, 0xFF, ..] => {
            guarded(path, || Ok(Box::new(Raster::open_jpeg(file, choice)?) as Box<dyn Format>))
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => {
            guarded(path, || Ok(Box::new(NpyImage::open(file, path, choice)?) as Box<dyn Format>))
        }
        other => {
            let found = unknown(other);
            Err(OpenError::NotAnImage { path: path.to_owned(), found })
        }
    }
}

/// A folder is a store of OME-Zarr, if it is an image.
#[cfg(feature = "zarr")]
fn open_folder(path: &Path, choice: &Choice) -> Result<Box<dyn Format>, OpenError> {
    Ok(Box::new(super::ZarrImage::with_choice(path, choice)?))
}

/// A folder is a store of OME-Zarr, if it is an image.
#[cfg(not(feature = "zarr"))]
fn open_folder(path: &Path, _choice: &Choice) -> Result<Box<dyn Format>, OpenError> {
    Err(OpenError::Unsupported {
        path: path.to_owned(),
        reason: "is a folder; OME-Zarr is read with the feature `zarr`".to_owned(),
    })
}

fn unknown(start: &[u8]) -> &'static str {
    match start {
        [] => "is empty",
        [b'G', b'I', b'F', b'8', ..] => "is a GIF image",
        [b'P', b'K', 3, 4, ..] => "is a zip archive",
        [0x89, b'H', b'D', b'F', ..] => "is an HDF5 file",
        _ => "is of an unknown format",
    }
}
