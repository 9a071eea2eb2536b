//! Regions from files of any kind that holds some.
//!
//! | file | read by | kept beside the outline |
//! |---|---|---|
//! | napari's shapes, `.csv` | [`napari`] | |
//! | the Allen Cell Segmenter's polygons, `.npy` | [`npy`] | |
//! | QuPath's objects, `.geojson` | [`geojson`] | name, class |
//! | ImageJ's selections, `.roi` and `RoiSet.zip` | [`imagej`] | name, group |
//! | a painted mask or label image, TIFF or PNG | [`Mask::open`] | |
//!
//! [`read`] tells them apart by their first bytes.

use std::{
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use segmenter_core::{
    InvalidRegion, Mask, Region, Yx, Zyx,
    io::{Axes, OpenError, npy, npy::NpyError, probe, zip::ZipError},
};

use crate::{geojson, imagej, napari, napari::ShapesError};

/// The largest file of regions that is read, in bytes. What is made of it takes up to a few dozen
/// times as much memory.
pub const LIMIT: u64 = 256 << 20;

/// A region and what its file says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedRegion {
    /// Where it is.
    pub region: Region,
    /// What it is called.
    pub name: Option<String>,
    /// What it shows: QuPath's classification, or the number of ImageJ's group.
    pub class: Option<String>,
}

impl From<Region> for NamedRegion {
    fn from(region: Region) -> Self {
        Self { region, name: None, class: None }
    }
}

/// What a file of regions holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Regions {
    /// The regions, in the order of the file.
    pub regions: Vec<NamedRegion>,
    /// What the file says beyond that, and is not kept.
    pub ignored: Vec<Ignored>,
}

impl Regions {
    /// The regions without names and classes.
    pub fn into_regions(self) -> impl Iterator<Item = Region> {
        self.regions.into_iter().map(|named| named.region)
    }
}

impl FromIterator<Region> for Regions {
    fn from_iter<I: IntoIterator<Item = Region>>(regions: I) -> Self {
        let regions = regions.into_iter().map(NamedRegion::from).collect();
        Self { regions, ignored: Vec::new() }
    }
}

/// Something in a file that no region can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Where it is in the file.
    pub at: String,
    /// What it is.
    pub what: String,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

/// Why regions were not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegionsError {
    /// The file can't be read.
    #[error("{path}: can't be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is larger than regions are.
    #[error("{path}: has more than {limit} bytes, so it is not read as regions")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit: u64,
    },
    /// A part of the file is not what it has to be.
    #[error("{path}: {at}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        at: String,
        /// What was expected and found.
        reason: String,
    },
    /// Points bound no region.
    #[error("{path}: {at}")]
    Region {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        at: String,
        /// What is wrong with the points.
        source: InvalidRegion,
    },
    /// A table of shapes was not read.
    #[error(transparent)]
    Shapes(#[from] ShapesError),
    /// An array of polygons was not read.
    #[error(transparent)]
    Polygons(#[from] NpyError),
    /// A painted mask was not read.
    #[error(transparent)]
    Mask(#[from] OpenError),
    /// An archive was not read.
    #[error("{path}")]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ZipError,
    },
}

impl RegionsError {
    pub(crate) fn malformed(path: &Path, at: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::Malformed { path: path.to_owned(), at: at.to_string(), reason: reason.to_string() }
    }
}

/// Reads the regions of a file of any kind above.
///
/// Unless a file says in which slices a region is, it is in all. A painted mask or label image is one
/// region, which holds every voxel that is not 0.
///
/// ```
/// use segmenter_core::Region;
/// use segmenter_curation::regions;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("debris.geojson");
/// let square = "[[[1,1],[3,1],[3,3],[1,3],[1,1]]]";
/// std::fs::write(&path, format!(r#"{{"type": "Polygon", "coordinates": {square}}}"#))?;
///
/// let found = regions::read(&path)?;
/// assert_eq!(found.regions[0].region.rasterise::<segmenter_core::Yx>([5, 5]).count(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the file can't be read, is larger than [`LIMIT`] (images may be larger), is damaged, or is
/// neither of these.
pub fn read(path: impl AsRef<Path>) -> Result<Regions, RegionsError> {
    let path = path.as_ref();
    let start = start(path).map_err(|source| RegionsError::Io { path: path.to_owned(), source })?;
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start).trim_ascii_start();
    match text.first() {
        _ if start.starts_with(b"Iout") => imagej::read_roi(path)
            .map(|(region, ignored)| Regions { regions: region.into_iter().collect(), ignored }),
        _ if start.starts_with(b"PK") => imagej::read_roi_set(path),
        _ if start.starts_with(b"\x93NUMPY") => check_size(path).and_then(|()| polygons(path)),
        _ if is_image(&start) => painted(path),
        Some(b'{' | b'[') => geojson::read(path),
        _ => {
            check_size(path)?;
            Ok(napari::read_shapes(path)?.into_iter().collect())
        }
    }
}

/// The first bytes of a file.
fn start(path: &Path) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    fs::File::open(path)?.take(64).read_to_end(&mut start)?;
    Ok(start)
}

fn is_image(start: &[u8]) -> bool {
    let tiff = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];
    start.starts_with(b"\x89PNG") || tiff.iter().any(|magic| start.starts_with(*magic))
}

/// The bytes of a file that is not larger than it may be.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, RegionsError> {
    check_size(path)?;
    fs::read(path).map_err(|source| RegionsError::Io { path: path.to_owned(), source })
}

fn check_size(path: &Path) -> Result<(), RegionsError> {
    let io = |source| RegionsError::Io { path: path.to_owned(), source };
    if fs::metadata(path).map_err(io)?.len() > LIMIT {
        return Err(RegionsError::TooLarge { path: path.to_owned(), limit: LIMIT });
    }
    Ok(())
}

fn polygons(path: &Path) -> Result<Regions, RegionsError> {
    let polygons = npy::read_polygons(path)?.into_iter().enumerate();
    let region = |(index, points): (usize, Vec<[f64; 2]>)| {
        Region::polygon(points.into_iter().map(|[y, x]| (x, y))).map_err(|source| {
            RegionsError::Region { path: path.to_owned(), at: format!("polygon {index}"), source }
        })
    };
    polygons.map(region).collect()
}

fn painted(path: &Path) -> Result<Regions, RegionsError> {
    let region = match probe(path)?.axes {
        Axes::Yx => Region::painted(&Mask::<Yx>::open(path)?),
        Axes::Zyx => Region::painted(&Mask::<Zyx>::open(path)?),
    };
    Ok([region].into_iter().collect())
}
