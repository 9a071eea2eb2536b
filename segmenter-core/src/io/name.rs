//! The names of image files.

/// The name of an image file without `.ome.tif`, `.ome.tiff`, `.tif`, `.tiff` or `.png`, whatever
/// their case; `None` if it ends in none of them.
#[must_use]
pub fn image_stem(name: &str) -> Option<&str> {
    let endings = [".ome.tiff", ".ome.tif", ".tiff", ".tif", ".png"];
    endings.iter().find_map(|ending| {
        let at = name.len().checked_sub(ending.len())?;
        let (stem, found) = name.split_at_checked(at)?;
        (found.eq_ignore_ascii_case(ending) && !stem.is_empty()).then_some(stem)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_an_image_is_not_part_of_its_name() {
        for name in ["a.b.ome.tiff", "a.b.ome.tif", "a.b.tif", "a.b.TIFF", "a.b.Png"] {
            assert_eq!(image_stem(name), Some("a.b"), "{name}");
        }
        for name in ["a.txt", ".tif", "tif", "ä", ".ome.png.txt"] {
            assert_eq!(image_stem(name), None, "{name}");
        }
    }
}
