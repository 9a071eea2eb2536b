//! Large memory for image stacks and features.
//!
//! Fresh memory comes from the operating system in pages of 4 KiB, each at the price of an interrupt when it
//! is touched first: for a stack of 128 MiB that takes longer than reading its pixels from the file cache.
//! Linux has pages of 2 MiB too, but most distributions hand them out only where they are asked for
//! (`transparent_hugepage` is `madvise`). [`zeroed`] asks. NumPy does so as well from 4 MiB on.
//!
//! ```
//! let pixels: Vec<u16> = segmenter_memory::zeroed(64 * 1024 * 1024)?;
//! assert_eq!((pixels.len(), pixels[7]), (1 << 26, 0));
//! # Ok::<(), segmenter_memory::OutOfMemory>(())
//! ```

use std::fmt;

use bytemuck::Zeroable;

/// Below this many bytes, twice a huge page, there may be none inside.
#[cfg(target_os = "linux")]
const LARGE: usize = 4 << 20;

/// There is not as much memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// What was asked for, in bytes; [`usize::MAX`] if that is more than can be addressed.
    pub bytes: usize,
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no memory for {} bytes", self.bytes)
    }
}

impl std::error::Error for OutOfMemory {}

/// So many zeros, none of which takes memory before it is touched.
///
/// # Errors
/// If the system has not as much memory.
pub fn zeroed<T: Zeroable>(length: usize) -> Result<Vec<T>, OutOfMemory> {
    let bytes = length.saturating_mul(size_of::<T>());
    let mut values =
        bytemuck::allocation::try_zeroed_vec(length).map_err(|()| OutOfMemory { bytes })?;
    prefer_huge_pages(&mut values);
    Ok(values)
}

/// Room for so many values, none of which takes memory before it is written.
#[must_use]
pub fn with_capacity<T>(length: usize) -> Vec<T> {
    let mut values = Vec::with_capacity(length);
    prefer_huge_pages(values.spare_capacity_mut());
    values
}

/// Asks the system to back memory with huge pages. It may not, which changes nothing but time.
#[cfg(target_os = "linux")]
fn prefer_huge_pages<T>(values: &mut [T]) {
    use rustix::{
        mm::{Advice, madvise},
        param::page_size,
    };

    if size_of_val(values) < LARGE {
        return;
    }
    let range = values.as_mut_ptr_range();
    let skipped = range.start.cast::<u8>().align_offset(page_size());
    let length = (size_of_val(values) - skipped) & !(page_size() - 1);
    let first = range.start.cast::<u8>().wrapping_add(skipped).cast();
    // SAFETY: The whole pages of a slice that is borrowed for writing. This advice neither changes what
    // is in them nor whether they may be accessed.
    // Kernels without huge pages refuse it, and there is nothing to be done about that.
    let _ = unsafe { madvise(first, length, Advice::LinuxHugepage) };
}

#[cfg(not(target_os = "linux"))]
fn prefer_huge_pages<T>(_values: &mut [T]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_zero_and_can_be_written() {
        for length in [0, 1, 4095, 1 << 20, (5 << 20) + 3] {
            let mut room: Vec<u32> = with_capacity(length);
            room.extend((0..length).map(|_| 9));
            assert!(room.iter().all(|&value| value == 9));
            let mut values: Vec<u32> = zeroed(length).expect("a few megabytes");
            assert_eq!(values.len(), length);
            assert!(values.iter().all(|&value| value == 0));
            values.fill(7);
            assert!(values.iter().all(|&value| value == 7));
        }
    }

    #[test]
    fn more_than_there_is_is_an_error() {
        assert_eq!(zeroed::<u64>(usize::MAX / 2), Err(OutOfMemory { bytes: usize::MAX }));
    }

    /// Where the system hands out huge pages on request, a large vector has some.
    #[test]
    #[cfg(target_os = "linux")]
    fn large_memory_is_on_huge_pages() {
        let setting = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
        if !setting.is_ok_and(|setting| !setting.contains("[never]")) {
            eprintln!("skipped: this system has no transparent huge pages");
            return;
        }
        let mut values: Vec<u8> = zeroed(64 << 20).expect("64 MiB");
        let is_advised = || {
            let maps = std::fs::read_to_string("/proc/self/smaps").expect("a list of memory");
            let address = values.as_ptr() as usize + (32 << 20);
            let mut inside = false;
            maps.lines().any(|line| {
                let bounds = line.split(' ').next().and_then(|range| range.split_once('-'));
                if let Some((first, last)) = bounds
                    && let [Ok(first), Ok(last)] =
                        [first, last].map(|bound| usize::from_str_radix(bound, 16))
                {
                    inside = (first..last).contains(&address);
                }
                inside && line.starts_with("VmFlags:") && line.contains(" hg")
            })
        };
        assert!(is_advised());
        values.fill(1);
        assert!(values.iter().all(|&value| value == 1));
    }
}
