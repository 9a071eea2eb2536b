//! Units of length.

/// A unit's length in µm, by the symbols of OME's `UnitsLength` (schema 2016-06) and the words that
/// ImageJ and tifffile write; `None` for what is no length, such as "pixel" or "reference frame".
pub(super) fn micrometres(unit: &str) -> Option<f64> {
    Some(match unit {
        "m" | "meter" | "metre" => 1e6,
        "cm" | "centimeter" => 1e4,
        "mm" | "millimeter" => 1e3,
        // The micro sign and the Greek letter look the same.
        "µm" | "\u{3bc}m" | "um" | "micron" | "microns" | "micrometer" | "micrometre" => 1.0,
        "nm" | "nanometer" => 1e-3,
        "Å" | "\u{212b}" | "angstrom" => 1e-4,
        "pm" | "picometer" => 1e-6,
        "in" | "inch" => 25_400.0,
        _ => return None,
    })
}
