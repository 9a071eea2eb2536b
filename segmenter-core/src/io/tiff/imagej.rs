//! ImageJ's hyperstacks: `key=value` lines in the description of the first page.
//!
//! Source: `ij.io.FileSaver` and `ij.io.TiffDecoder` of ImageJ 1.54. Pages follow each other in the
//! order channel, slice, frame, channel fastest. The size of a pixel is the reciprocal of the
//! resolution tags, in the unit of the description.

use super::{
    super::{fault::Fault, layout::length},
    series::{PageAxis, Series},
    units,
};

/// Whether a description is ImageJ's.
pub(super) fn is(description: &str) -> bool {
    description.starts_with("ImageJ=")
}

/// Reads a description. `resolution` is pixels a unit, `[y, x]`; `pages` is how many pages there are.
pub(super) fn series(
    description: &str,
    resolution: [Option<f64>; 2],
    pages: usize,
) -> Result<Series, Fault> {
    let [channels, slices, frames] = sizes(description, pages)?;
    let mut series = Series::in_order(&[
        (PageAxis::Channel, channels),
        (PageAxis::Slice, slices),
        (PageAxis::Time, frames),
    ])?;
    series.spacing = spacing(description, resolution);
    Ok(series)
}

/// The size of a voxel in µm, `[z, y, x]`. Rows and slices have the unit of columns unless they have their
/// own, and slices are 1 apart unless it is told.
fn spacing(description: &str, [y, x]: [Option<f64>; 2]) -> [Option<f64>; 3] {
    let unit = |key| value(description, key);
    let all = unit("unit");
    let own = |key| unit(key).or_else(|| all.clone());
    let units = [own("zunit"), own("yunit"), all.clone()];
    // Images that were read back to front have a negative spacing.
    let z = value(description, "spacing").map_or(Some(1.0), |spacing| spacing.parse().ok());
    let sizes = [z.map(f64::abs), y.map(f64::recip), x.map(f64::recip)];
    std::array::from_fn(|axis| {
        let unit = units[axis].as_deref().and_then(micrometres);
        sizes[axis].zip(unit).and_then(|(size, unit)| length(size * unit))
    })
}

/// Channels, slices and frames. Stacks that are no hyperstacks tell the number of images alone.
fn sizes(description: &str, pages: usize) -> Result<[usize; 3], Fault> {
    let mut sizes = [1; 3];
    let mut told = false;
    for (size, key) in sizes.iter_mut().zip(["channels", "slices", "frames"]) {
        if let Some(text) = value(description, key) {
            *size = number(key, &text)?;
            told = true;
        }
    }
    if !told {
        let images = value(description, "images");
        sizes[1] = images.map_or(Ok(pages), |text| number("images", &text))?;
    }
    Ok(sizes)
}

fn number(key: &str, text: &str) -> Result<usize, Fault> {
    text.parse().map_err(|_| {
        Fault::malformed(format!("the ImageJ description says {key}={text}, which is no number"))
    })
}

fn value(description: &str, key: &str) -> Option<String> {
    let mut lines = description.lines().filter_map(|line| line.split_once('='));
    lines.find(|(found, _)| *found == key).map(|(_, value)| value.trim().to_owned())
}

/// The unit in µm. ImageJ escapes what is not ASCII as Java does.
fn micrometres(unit: &str) -> Option<f64> {
    units::micrometres(&unit.replace("\\u00B5", "µ").replace("\\u00C5", "Å"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calibration_of_a_hyperstack_is_in_micrometres() {
        let text = "ImageJ=1.54f\nimages=6\nchannels=2\nslices=3\nhyperstack=true\n\
                    unit=\\u00B5m\nspacing=0.5\n";
        let series = series(text, [Some(4.0), Some(8.0)], 6).unwrap();
        assert_eq!((series.channels, series.slices, series.time_points), (2, 3, 1));
        assert_eq!(series.spacing, [Some(0.5), Some(0.25), Some(0.125)]);
    }

    #[test]
    fn a_spacing_of_1_is_not_written_and_each_axis_may_have_a_unit() {
        let text = "ImageJ=1.54f\nimages=6\nslices=6\nunit=nm\nyunit=micron\nzunit=mm\n";
        let series = series(text, [Some(4.0), Some(8.0)], 6).unwrap();
        assert_eq!(series.spacing, [Some(1000.0), Some(0.25), Some(0.125e-3)]);
    }

    #[test]
    fn a_stack_without_dimensions_is_made_of_slices() {
        let series = series("ImageJ=1.11a\nimages=5\nunit=pixel\n", [Some(1.0); 2], 5).unwrap();
        assert_eq!((series.channels, series.slices), (1, 5));
        assert_eq!(series.spacing, [None; 3], "a pixel is no length");
    }
}
