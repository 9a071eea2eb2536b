//! A folder as a Zarr store, in which no file is ever half written.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;
use zarrs::storage::{
    Bytes, MaybeBytesIterator, OffsetBytesIterator, ReadableStorageTraits, StorageError, StoreKey,
    StorePrefix, WritableStorageTraits,
    byte_range::{ByteRange, ByteRangeIterator},
};

use super::bomb;

/// A folder whose files are the values of a store.
///
/// A value that is set goes to a temporary file, which is synced and then renamed: whatever happens,
/// a chunk is there and whole, or it is not there. Links are followed, `..` is not.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Bytes of a chunk when it is unpacked.
    chunk: u64,
}

impl Folder {
    /// A folder in which a file is one chunk of so many bytes when it is unpacked, or a shard of no more in all.
    pub(super) fn new(path: impl Into<PathBuf>, chunk: u64) -> Self {
        Self { path: path.into(), chunk }
    }

    /// Refuses what is longer than any codec makes a chunk. Compression adds little, but a shard may hold chunks of one voxel, with 16 bytes
    /// in its index and a header for each.
    fn check_length(&self, file: &File, path: &Path) -> Result<(), StorageError> {
        let length = file.metadata()?.len();
        if length <= self.chunk.saturating_mul(64).max(1 << 16) {
            return Ok(());
        }
        let (path, chunk) = (path.display(), self.chunk);
        Err(StorageError::Other(format!("{path} has {length} bytes for a chunk of {chunk}")))
    }

    /// The file of a key.
    pub(super) fn file(&self, key: &StoreKey) -> PathBuf {
        self.path.join(key.as_str())
    }

    fn open(&self, key: &StoreKey) -> Result<Option<File>, StorageError> {
        if !key.as_str().split('/').all(is_plain) {
            return Err(StorageError::Other(format!("{key} leads out of the store")));
        }
        match File::open(self.file(key)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether a part of a path is the name of something in a folder.
pub(super) fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', '\0'])
}

/// Writes a file that is there and whole, or not there, and replaces one that is.
pub(super) fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let temporary = match NamedTempFile::with_prefix_in(".partial-", folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(folder)?;
            NamedTempFile::with_prefix_in(".partial-", folder)?
        }
        other => other?,
    };
    temporary.as_file().write_all(bytes)?;
    share(temporary.as_file(), 0o644)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}

/// A temporary file is private; a result is a file like any other that the user makes.
#[cfg(unix)]
pub(super) fn share(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
pub(super) fn share(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(())
}

impl ReadableStorageTraits for Folder {
    fn get(&self, key: &StoreKey) -> Result<Option<Bytes>, StorageError> {
        let Some(mut file) = self.open(key)? else { return Ok(None) };
        self.check_length(&file, &self.file(key))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        bomb::check(&bytes, self.chunk)?;
        Ok(Some(bytes.into()))
    }

    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        byte_ranges: ByteRangeIterator<'a>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        let Some(mut file) = self.open(key)? else { return Ok(None) };
        let size = file.metadata()?.len();
        let name = self.file(key);
        self.check_length(&file, &name)?;
        let parts = byte_ranges.map(move |range| {
            let bytes = part(&mut file, size, range, &name)?;
            bomb::check(&bytes, self.chunk)?;
            Ok(bytes)
        });
        Ok(Some(Box::new(parts)))
    }

    fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        Ok(self.open(key)?.map(|file| file.metadata()).transpose()?.map(|metadata| metadata.len()))
    }

    fn supports_get_partial(&self) -> bool {
        true
    }
}

/// A part of a file. The ranges come from the index of a shard, which may claim anything.
fn part(file: &mut File, size: u64, range: ByteRange, path: &Path) -> Result<Bytes, StorageError> {
    let claimed = match range {
        ByteRange::FromStart(start, None) => size.checked_sub(start).map(|length| (start, length)),
        ByteRange::FromStart(start, Some(length)) => Some((start, length)),
        ByteRange::Suffix(length) => size.checked_sub(length).map(|start| (start, length)),
    };
    let inside =
        claimed.filter(|(start, length)| start.checked_add(*length).is_some_and(|end| end <= size));
    let Some((start, length)) = inside else {
        let path = path.display();
        return Err(StorageError::Other(format!(
            "{path} has {size} bytes and should have {range}"
        )));
    };
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes.into())
}

impl WritableStorageTraits for Folder {
    fn set(&self, key: &StoreKey, value: Bytes) -> Result<(), StorageError> {
        Ok(put(&self.file(key), &value)?)
    }

    fn set_partial_many(
        &self,
        key: &StoreKey,
        _offset_values: OffsetBytesIterator<'_>,
    ) -> Result<(), StorageError> {
        Err(StorageError::Unsupported(format!("{key}: values are written as a whole")))
    }

    fn erase(&self, key: &StoreKey) -> Result<(), StorageError> {
        match fs::remove_file(self.file(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn erase_prefix(&self, prefix: &StorePrefix) -> Result<(), StorageError> {
        Err(StorageError::Unsupported(format!("{prefix}: values are erased one by one")))
    }

    fn supports_set_partial(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_beyond_the_file_is_an_error_and_takes_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        let key = StoreKey::new("c/0").unwrap();
        let store = Folder::new(folder.path(), 4);
        store.set(&key, Bytes::from_static(b"0123")).unwrap();
        let read = |range| store.get_partial(&key, range);
        assert_eq!(read(ByteRange::FromStart(1, Some(2))).unwrap().unwrap(), "12");
        assert_eq!(read(ByteRange::Suffix(3)).unwrap().unwrap(), "123");
        for range in [
            ByteRange::FromStart(1, Some(1 << 60)),
            ByteRange::FromStart(u64::MAX, Some(1)),
            ByteRange::FromStart(5, None),
            ByteRange::Suffix(5),
        ] {
            assert!(read(range).is_err(), "{range}");
        }
    }

    #[test]
    fn a_key_does_not_lead_out_of_the_store() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret"), "1").unwrap();
        let store = Folder::new(folder.path().join("image.zarr"), 4);
        assert!(store.get(&StoreKey::new("../secret").unwrap()).is_err());
    }
}
