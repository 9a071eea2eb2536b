//! Units of length in OME-Zarr.

/// A unit's length in µm: the UDUNITS names that OME-Zarr 0.4 and 0.5 allow for an axis of space, and the
/// symbols that people write instead; `None` for anything else, such as "pixel".
pub(super) fn micrometres(unit: &str) -> Option<f64> {
    Some(match unit {
        "yoctometer" => 1e-18,
        "zeptometer" => 1e-15,
        "attometer" => 1e-12,
        "femtometer" | "fm" => 1e-9,
        "picometer" | "picometre" | "pm" => 1e-6,
        "angstrom" | "Å" | "\u{212b}" => 1e-4,
        "nanometer" | "nanometers" | "nanometre" | "nm" => 1e-3,
        // The micro sign and the Greek letter look the same.
        "micrometer" | "micrometers" | "micrometre" | "micron" | "microns" | "um" | "µm"
        | "\u{3bc}m" => 1.0,
        "millimeter" | "millimeters" | "millimetre" | "mm" => 1e3,
        "centimeter" | "centimetre" | "cm" => 1e4,
        "inch" | "in" => 25_400.0,
        "decimeter" | "dm" => 1e5,
        "foot" => 304_800.0,
        "yard" => 914_400.0,
        "meter" | "meters" | "metre" | "m" => 1e6,
        "hectometer" => 1e8,
        "kilometer" | "km" => 1e9,
        "mile" => 1_609_344_000.0,
        "megameter" => 1e12,
        "gigameter" => 1e15,
        "terameter" => 1e18,
        "petameter" => 1e21,
        "exameter" => 1e24,
        "zettameter" => 1e27,
        "yottameter" => 1e30,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_has_its_length_by_name_and_by_symbol() {
        for (names, length) in [
            (["micrometer", "µm"], 1.0),
            (["nanometer", "nm"], 1e-3),
            (["millimeter", "mm"], 1e3),
            (["inch", "in"], 25_400.0),
        ] {
            assert_eq!(names.map(micrometres), [Some(length); 2]);
        }
        assert_eq!(["pixel", ""].map(micrometres), [None; 2]);
    }
}
