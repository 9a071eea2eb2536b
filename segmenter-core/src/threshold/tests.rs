use super::*;

/// The expected thresholds below are printed by scikit-image 0.26.0 on NumPy 2.4.6 for the same
/// values.
fn check<T: Pixel>(values: impl Iterator<Item = T> + Clone, expected: f64) {
    assert_eq!(otsu(values), Ok(expected));
}

/// Pseudo-random numbers of 32 bits (Numerical Recipes' linear congruential generator), which
/// are easy to make again in Python.
fn noise() -> impl Iterator<Item = u32> + Clone {
    let next = |seed: &u32| Some(seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    std::iter::successors(Some(1), next).skip(1).take(5000)
}

/// A dim background from 200 to 899 and a bright third from 3000 to 3999.
fn bimodal() -> impl Iterator<Item = u16> + Clone {
    let value = |r: u32| if r >> 28 < 5 { (r >> 20) % 1000 + 3000 } else { (r >> 20) % 700 + 200 };
    noise().map(move |r| u16::try_from(value(r)).unwrap())
}

fn unit() -> impl Iterator<Item = f32> + Clone {
    noise().map(|r| (r >> 8) as f32 / (1 << 24) as f32)
}

#[test]
fn integers_have_one_bin_each_as_in_scikit_image() {
    check(noise().map(|r| u8::try_from(r >> 24).unwrap()), 126.0);
    check(noise().map(|r| i8::try_from(i64::from(r >> 25) - 64).unwrap()), -1.0);
    check(bimodal(), 899.0);
    check(bimodal().map(|v| i16::try_from(i32::from(v) - 1500).unwrap()), -601.0);
    check(bimodal().map(|v| u32::from(v) * 1000), 899_000.0);
    check([1_u8, 5].into_iter(), 1.0);
}

#[test]
fn floats_have_256_bins_as_in_scikit_image() {
    check(bimodal().map(|v| f32::from(v) * 0.37 - 300.0), f64::from(34.810_257_f32));
    check(unit(), f64::from(0.494_145_33_f32));
    check(unit().map(|v| v * v), f64::from(0.400_387_17_f32));
    check(unit().map(|v| v * 1e6), f64::from(494_145.3_f32));
    check([-1.0_f32, 2.0].into_iter(), f64::from(-0.994_140_6_f32));
}

#[test]
fn equal_values_are_their_own_threshold() {
    check([7_u16; 5].into_iter(), 7.0);
    check([0.3_f32; 5].into_iter(), f64::from(0.3_f32));
}

#[test]
fn no_values_and_values_that_are_no_numbers_are_refused() {
    assert_eq!(otsu(Vec::<u8>::new()), Err(ThresholdError::Empty));
    let error = otsu([0.0, 1.0, f32::INFINITY]).unwrap_err();
    assert_eq!(error, ThresholdError::NotFinite { index: 2, value: f64::INFINITY });
}

#[test]
fn a_method_that_finds_nothing_says_why() {
    assert_eq!(minimum([7_u8; 5]), Err(ThresholdError::Maxima { found: 0 }));
    let wide = ThresholdError::TooManyBins { bins: 5_000_001, limit: 1 << 20 };
    assert_eq!(minimum([-1_000_000, 4_000_000]), Err(wide));
    let (low, high) = (-f64::MAX, f64::MAX);
    assert_eq!(yen([low, high]), Err(ThresholdError::TooWide { low, high }));
    assert_eq!(li(Vec::<f32>::new()), Err(ThresholdError::Empty));
}

#[test]
fn whole_numbers_far_apart_are_counted_one_by_one() {
    // A bin for each of four billion numbers would not fit the memory that scikit-image asks for.
    let values = [i32::MIN, i32::MIN, i32::MAX, i32::MAX, i32::MAX];
    assert_eq!(otsu(values), Ok(f64::from(i32::MIN)));
    assert_eq!(isodata(values), Ok(-1.0), "halfway between the two");
}

#[test]
fn a_method_is_its_name_in_text_and_in_files() {
    for method in ThresholdMethod::AUTOMATIC.into_iter().chain([ThresholdMethod::Fixed(-1.5)]) {
        assert_eq!(method.to_string().parse(), Ok(method));
        let json = serde_json::to_string(&method).unwrap();
        assert_eq!(json, format!("\"{method}\""));
        assert_eq!(serde_json::from_str::<ThresholdMethod>(&json).unwrap(), method);
    }
    for wrong in ["Otsu", "fixed", "fixed:", "fixed:NaN", ""] {
        let error = wrong.parse::<ThresholdMethod>().unwrap_err();
        assert_eq!(error, UnknownMethod { found: wrong.to_owned() });
    }
}

#[test]
fn noise_has_no_threshold_unless_it_is_asked_for() {
    let noise = [8_u8, 9, 9, 10, 10, 10, 10, 11, 11, 12];
    assert_eq!(ThresholdMethod::Otsu.of_foreground(noise), Ok(None));
    assert_eq!(ThresholdMethod::Fixed(10.0).of_foreground(noise), Ok(Some(10.0)));
}
