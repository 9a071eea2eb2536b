//! Paths that outlive the machine they were written on.

use std::path::{Component, Path, PathBuf, absolute};

/// A path below a root with `/` between its parts, or `None` if it is not below. One of them may be
/// relative to the working folder and the other absolute.
pub(crate) fn below(root: &Path, path: &Path) -> Option<String> {
    let as_named = parts_below(root, path);
    as_named.or_else(|| parts_below(&absolute(root).ok()?, &absolute(path).ok()?))
}

fn parts_below(root: &Path, path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root).ok()?;
    let parts = inside.components().map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    let parts: Option<Vec<&str>> = parts.collect();
    parts.filter(|parts| !parts.is_empty()).map(|parts| parts.join("/"))
}

/// A file below a root, or `None` if the name leads out of it.
pub(crate) fn join(root: &Path, inside: &str) -> Option<PathBuf> {
    let parts = Path::new(inside).components();
    let stays = !inside.is_empty() && parts.clone().all(|p| matches!(p, Component::Normal(_)));
    stays.then(|| root.join(inside))
}

/// The file below a root whose path ends like one from another machine, by the longest such end.
/// Both `/` and `\` separate.
pub(crate) fn find_tail(root: &Path, foreign: &str) -> Option<PathBuf> {
    let parts: Vec<&str> = foreign.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
    (0..parts.len())
        .filter_map(|start| join(root, &parts[start..].join("/")))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_path_is_written_with_slashes_and_read_back() {
        let root = Path::new("data");
        let inside = below(root, &root.join("raw").join("a.tif")).unwrap();
        assert_eq!(inside, "raw/a.tif");
        assert_eq!(join(root, &inside), Some(root.join("raw").join("a.tif")));
        assert_eq!(below(root, &absolute(root).unwrap().join("a.tif")).as_deref(), Some("a.tif"));
        assert_eq!(
            below(&absolute(root).unwrap(), Path::new("data/a.tif")).as_deref(),
            Some("a.tif")
        );
        assert_eq!(below(root, Path::new("elsewhere/a.tif")), None);
        assert_eq!(below(root, root), None);
        for out in ["../a.tif", "raw/../../a.tif", "/a.tif", ""] {
            assert_eq!(join(root, out), None, "{out}");
        }
    }

    #[test]
    fn a_file_of_another_machine_is_found_by_its_longest_end() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["im.tif", "raw/im.tif", "seg/im.tif"] {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), "").unwrap();
        }
        let find = |foreign| find_tail(root, foreign);
        assert_eq!(find("/data/x/raw/im.tif"), Some(root.join("raw/im.tif")));
        assert_eq!(find(r"D:\data\seg\im.tif"), Some(root.join("seg/im.tif")));
        assert_eq!(find("/data/other/im.tif"), Some(root.join("im.tif")));
        assert_eq!(find("/data/raw/im_2.tif"), None);
        assert_eq!(find("/data/raw"), None, "a folder is not a file");
    }
}
