//! Tables of objects as CSV.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use csv::{ReaderBuilder, StringRecord, WriterBuilder};

use super::{Intensity, Object, ObjectTable};
use crate::{
    Space,
    io::{Existing, SaveError, write_whole},
};

/// The measures of intensities, each of which is a column for each channel.
const INTENSITIES: [&str; 5] = ["mean", "sd", "min", "max", "sum"];

/// Why a table of objects could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The file can't be opened.
    #[error("{path}: can't be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not CSV.
    #[error("{path}: is not CSV")]
    Csv {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: csv::Error,
    },
    /// The columns are not those of a table of objects of these axes.
    #[error("{path}: column {column} is \"{expected}\" in a table of objects, found \"{found}\"")]
    Column {
        /// The file.
        path: PathBuf,
        /// Which column, counted from 1.
        column: usize,
        /// What it is called there.
        expected: String,
        /// What it is called here, or nothing.
        found: String,
    },
    /// A value is not what its column holds.
    #[error("{path}, line {line}: \"{found}\" is no value of \"{column}\"")]
    Value {
        /// The file.
        path: PathBuf,
        /// Which line, counted from 1.
        line: u64,
        /// The column.
        column: String,
        /// What is there.
        found: String,
    },
}

impl<S: Space> ObjectTable<S> {
    /// Writes the table as CSV, unless the file exists: a line of names with their units, and one line for
    /// each object. What is not known is left empty. Numbers have as many digits as it takes to read the
    /// same back.
    ///
    /// ```
    /// use ndarray::array;
    /// use segmenter_core::{Labels2, VoxelSize, objects::ObjectTable};
    ///
    /// let size = VoxelSize::new([0.5, 0.5])?;
    /// let table = Labels2::new(array![[1, 1, 0], [0, 0, 2]]).with_voxel_size(size).measure_shape();
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("objects.csv");
    /// table.save(&path)?;
    /// assert_eq!(ObjectTable::open(&path)?, table);
    /// let text = std::fs::read_to_string(&path)?;
    /// assert!(text.starts_with("id,voxels,area_um2,perimeter_um,circularity,touches_border,"));
    /// assert!(text.contains("\n1,2,0.5,"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the file exists, or the file system fails.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        self.save_as(path, Existing::Refuse)
    }

    /// Writes the table as CSV, and says what to do if the file exists; see [`save`](Self::save).
    ///
    /// # Errors
    /// If the file exists and may not be replaced, or the file system fails.
    pub fn save_as(&self, path: impl AsRef<Path>, existing: Existing) -> Result<(), SaveError> {
        write_whole(path.as_ref(), existing, |file| self.write(file))
    }

    /// Writes the table as CSV.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write(&self, to: impl Write) -> io::Result<()> {
        let mut csv = WriterBuilder::new().from_writer(to);
        csv.write_record(columns::<S>(&self.channels))?;
        for object in &self.objects {
            csv.write_record(object.fields())?;
        }
        csv.flush()
    }

    /// Reads a table that was written by [`save`](Self::save).
    ///
    /// # Errors
    /// If the file can't be read, is not CSV, or does not hold a table of objects of these axes.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TableError> {
        let path = path.as_ref();
        let file = File::open(path);
        let file = file.map_err(|source| TableError::Io { path: path.to_owned(), source })?;
        let not_csv = |source| TableError::Csv { path: path.to_owned(), source };
        let mut csv = ReaderBuilder::new().from_reader(file);
        let names = csv.headers().map_err(not_csv)?.clone();
        let channels = channels::<S>(path, &names)?;
        let mut objects = Vec::new();
        for record in csv.records() {
            let record = record.map_err(not_csv)?;
            let fields = Fields { path, names: &names, record: &record, at: 0 };
            objects.push(fields.object(channels.len())?);
        }
        Ok(Self { objects, channels })
    }
}

/// The names of the columns.
fn columns<S: Space>(channels: &[String]) -> Vec<String> {
    let own = if S::RANK == 3 {
        ["volume_um3", "surface_um2", "sphericity"]
    } else {
        ["area_um2", "perimeter_um", "circularity"]
    };
    let mut columns = vec!["id".to_owned(), "voxels".to_owned()];
    columns.extend(own.map(String::from));
    columns.push("touches_border".to_owned());
    for (what, unit) in
        [("centroid", "voxels"), ("centroid", "um"), ("first", "voxels"), ("last", "voxels")]
    {
        let axes = S::AXES.to_lowercase();
        columns.extend(axes.chars().map(|axis| format!("{what}_{axis}_{unit}")));
    }
    for channel in channels {
        columns.extend(INTENSITIES.map(|what| format!("{what}_{channel}")));
    }
    columns
}

/// The channels that a table of these columns has.
fn channels<S: Space>(path: &Path, names: &StringRecord) -> Result<Vec<String>, TableError> {
    let own = columns::<S>(&[]).len();
    let first = names.iter().skip(own).step_by(INTENSITIES.len());
    let channels = first.map(|name| name.strip_prefix("mean_").unwrap_or(name).to_owned());
    let channels: Vec<String> = channels.collect();
    let expected = columns::<S>(&channels);
    let names = names.iter().chain(std::iter::repeat(""));
    let wrong = expected.iter().zip(names).enumerate().find(|(_, (name, found))| name != found);
    match wrong {
        None => Ok(channels),
        Some((at, (expected, found))) => Err(TableError::Column {
            path: path.to_owned(),
            column: at + 1,
            expected: expected.clone(),
            found: found.to_owned(),
        }),
    }
}

impl<S: Space> Object<S> {
    fn fields(&self) -> Vec<String> {
        let known = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let mut fields = vec![self.id.to_string(), self.voxels.to_string()];
        fields.extend([self.volume, self.surface, self.sphericity].map(known));
        fields.push(self.touches_border.to_string());
        fields.extend(self.centroid.as_ref().iter().map(f64::to_string));
        let um = |at: usize| self.centroid_um.map(|centroid| centroid.as_ref()[at]);
        fields.extend((0..S::RANK).map(|at| known(um(at))));
        fields.extend(self.first.as_ref().iter().map(usize::to_string));
        fields.extend(self.last.as_ref().iter().map(usize::to_string));
        for Intensity { mean, sd, min, max, sum } in &self.intensities {
            fields.extend([mean.to_string(), sd.to_string(), min.to_string(), max.to_string()]);
            fields.push(sum.to_string());
        }
        fields
    }
}

/// The fields of a line, from the first to the last.
struct Fields<'a> {
    path: &'a Path,
    names: &'a StringRecord,
    record: &'a StringRecord,
    at: usize,
}

impl Fields<'_> {
    fn object<S: Space>(mut self, channels: usize) -> Result<Object<S>, TableError> {
        Ok(Object {
            id: self.next()?,
            voxels: self.next()?,
            volume: self.known()?,
            surface: self.known()?,
            sphericity: self.known()?,
            touches_border: self.next()?,
            centroid: self.reals::<S>()?,
            centroid_um: match self.record.get(self.at) {
                Some("") => {
                    self.at += S::RANK;
                    None
                }
                _ => Some(self.reals::<S>()?),
            },
            first: self.extent::<S>()?,
            last: self.extent::<S>()?,
            intensities: (0..channels).map(|_| self.intensity()).collect::<Result<_, _>>()?,
        })
    }

    fn next<T: FromStr>(&mut self) -> Result<T, TableError> {
        let found = self.record.get(self.at).unwrap_or_default();
        let value = found.parse().map_err(|_| TableError::Value {
            path: self.path.to_owned(),
            line: self.record.position().map_or(0, csv::Position::line),
            column: self.names.get(self.at).unwrap_or_default().to_owned(),
            found: found.to_owned(),
        });
        self.at += 1;
        value
    }

    fn known(&mut self) -> Result<Option<f64>, TableError> {
        if self.record.get(self.at) == Some("") {
            self.at += 1;
            return Ok(None);
        }
        self.next().map(Some)
    }

    fn reals<S: Space>(&mut self) -> Result<S::Reals, TableError> {
        let mut reals = S::reals_from_fn(|_| 0.0);
        reals.as_mut().iter_mut().try_for_each(|real| {
            *real = self.next()?;
            Ok(())
        })?;
        Ok(reals)
    }

    fn extent<S: Space>(&mut self) -> Result<S::Extent, TableError> {
        let mut extent = S::extent_from_fn(|_| 0);
        extent.as_mut().iter_mut().try_for_each(|size| {
            *size = self.next()?;
            Ok(())
        })?;
        Ok(extent)
    }

    fn intensity(&mut self) -> Result<Intensity, TableError> {
        Ok(Intensity {
            mean: self.next()?,
            sd: self.next()?,
            min: self.next()?,
            max: self.next()?,
            sum: self.next()?,
        })
    }
}
