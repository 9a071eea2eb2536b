//! What is in a folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Folder, FolderError};

pub(super) struct Listing {
    /// Name and path of each image, in the order of the paths.
    pub(super) images: Vec<(String, PathBuf)>,
    /// What by its name is no image, or not one that is meant.
    pub(super) ignored: Vec<PathBuf>,
}

impl Listing {
    pub(super) fn of(folder: &Folder) -> Result<Self, FolderError> {
        let paths = paths(&folder.path)
            .map_err(|source| FolderError { path: folder.path.clone(), source })?;
        let mut listing = Self { images: Vec::new(), ignored: Vec::new() };
        for path in paths {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            match folder.name_of(&file) {
                _ if file.starts_with('.') => {}
                Some(name) if !path.is_dir() => listing.images.push((name, path)),
                _ => listing.ignored.push(path),
            }
        }
        Ok(listing)
    }
}

fn paths(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
