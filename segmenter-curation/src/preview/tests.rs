use ndarray::{Array2, Array3, array};
use segmenter_core::{Labels2, Mask2, Mask3, Stack2, Stack3, VoxelSize};

use super::*;
use crate::Decision;

fn colour(picture: &Stack2<u8>, y: usize, x: usize) -> [u8; 3] {
    [0, 1, 2].map(|rgb| picture.view()[[rgb, y, x]])
}

fn square(from: f64, to: f64) -> [Region; 1] {
    [Region::polygon([(from, from), (to, from), (to, to), (from, to)]).unwrap()]
}

#[test]
fn gray_goes_from_percentile_1_to_percentile_99_8() {
    // 1001 values from 0 to 1000: percentile 1 is 10, percentile 99.8 is 998.
    let raw = Stack2::new(Array2::from_shape_fn((1, 1001), |(_, x)| x as f32));
    let picture = Preview::slice(&raw, 0).with_side(1001).draw().unwrap();
    let gray = |x| colour(&picture, 0, x)[0];
    assert_eq!([gray(0), gray(10), gray(504), gray(998), gray(1000)], [0, 0, 128, 255, 255]);
}

#[test]
fn what_is_nearly_all_background_is_still_seen() {
    let mut raw = Array2::zeros((40, 40));
    raw[[3, 5]] = 7_u16;
    let picture = Preview::slice(&Stack2::new(raw), 0).with_side(40).draw().unwrap();
    assert_eq!((colour(&picture, 3, 5), colour(&picture, 0, 0)), ([255; 3], [0; 3]));
    let constant = Stack2::new(Array2::from_elem((4, 4), 9_u8));
    let picture = Preview::slice(&constant, 0).draw().unwrap();
    assert!(picture.view().iter().all(|&value| value == 0));
}

#[test]
fn small_images_are_enlarged_and_large_ones_averaged() {
    let raw = Stack2::new(array![[0_u8, 0, 4, 4], [0, 0, 4, 4], [8, 8, 0, 8], [8, 8, 8, 0]]);
    let enlarged = Preview::slice(&raw, 0).with_side(8).draw().unwrap();
    assert_eq!(enlarged.extent(), [8, 8]);
    assert_eq!(colour(&enlarged, 7, 5), [255; 3]);
    assert_eq!(colour(&enlarged, 7, 6), [0; 3]);
    let averaged = Preview::slice(&raw, 0).with_side(2).draw().unwrap();
    let half = colour(&averaged, 0, 1);
    assert_eq!((colour(&averaged, 1, 1), half), (half, [128; 3]));
}

#[test]
fn objects_are_outlined_each_by_itself_and_not_along_the_border() {
    let raw = Stack2::new(Array2::<u8>::zeros((4, 6)));
    let ids = Labels2::new(array![
        [1, 1, 1, 2, 2, 2],
        [1, 1, 1, 2, 2, 2],
        [1, 1, 1, 2, 2, 2],
        [0, 0, 0, 0, 0, 0],
    ]);
    let picture = Preview::slice(&raw, 0).with_objects(&ids).with_side(6).draw().unwrap();
    let rows: Vec<String> = (0..4)
        .map(|y| (0..6).map(|x| if colour(&picture, y, x) == YELLOW { '#' } else { '.' }).collect())
        .collect();
    assert_eq!(rows, ["..##..", "..##..", "######", "......"]);
}

#[test]
fn excluded_and_merged_are_hatched_in_their_colours() {
    let raw = Stack2::new(Array2::<u8>::zeros((30, 30)));
    let counted = Mask2::new(Array2::from_shape_fn((30, 30), |(y, _)| y > 0));
    let (excluded, merged) = (square(2.0, 10.0), square(12.0, 28.0));
    let preview = Preview::slice(&raw, 0).with_excluded(&excluded).with_merged(&merged);
    let picture = preview.with_counted(&counted).with_side(30).draw().unwrap();
    let share =
        |of: [u8; 3], sixths: u16| of.map(|rgb| u8::try_from(u16::from(rgb) * sixths / 6).unwrap());
    let seen =
        |y: usize, x: usize, of| [share(of, 3), share(of, 1)].contains(&colour(&picture, y, x));
    assert!(seen(2, 2, VERMILLION) && seen(10, 10, VERMILLION) && seen(0, 29, VERMILLION));
    assert!(seen(12, 28, SKY_BLUE) && seen(20, 20, SKY_BLUE));
    assert_eq!(colour(&picture, 11, 11), [0; 3]);
    // Along a line of the hatching the sum of row and column is a multiple of 8.
    assert_eq!(colour(&picture, 4, 4), share(VERMILLION, 3));
    assert_eq!(colour(&picture, 4, 7), share(VERMILLION, 1));
}

#[test]
fn a_projection_shows_the_brightest_voxel_and_orthogonal_views_have_true_proportions() {
    let mut raw = Array3::zeros((4, 10, 20));
    raw[[3, 2, 15]] = 200_u8;
    raw[[1, 7, 4]] = 100;
    let size = VoxelSize::new([1.0, 0.5, 0.5]).unwrap();
    let raw = Stack3::new(raw).with_voxel_size(size);
    let projected = Preview::maximum(&raw).with_side(20).draw().unwrap();
    assert_eq!((colour(&projected, 2, 15), colour(&projected, 7, 4)), ([255; 3], [128; 3]));

    // Lengths in widths of a voxel: 8 along z, 10 along y, 20 along x.
    let views = Preview::orthogonal(&raw, [3, 2, 15]).with_side(28 + GAP).draw().unwrap();
    assert_eq!(views.extent(), [10 + GAP + 8, 20 + GAP + 8]);
    assert_eq!(colour(&views, 2, 15), [255; 3], "in xy");
    assert_eq!(colour(&views, 2, 20 + GAP + 7), [255; 3], "in yz");
    assert_eq!(colour(&views, 10 + GAP + 7, 15), [255; 3], "in xz");
    assert_eq!(colour(&views, 10, 0), [255; 3], "between them");
    assert_eq!(colour(&views, 3, 15), [0; 3]);
}

#[test]
fn a_region_of_some_slices_is_drawn_in_those_only() {
    let raw = Stack3::new(Array3::<u8>::zeros((4, 8, 8)));
    let region = square(0.0, 7.0).map(|region| region.through_z(2..=3));
    let drawn = |preview: Preview<'_, segmenter_core::Zyx>| {
        colour(&preview.with_excluded(&region).with_side(8).draw().unwrap(), 0, 0) != [0; 3]
    };
    assert!(!drawn(Preview::slice(&raw, 1)) && drawn(Preview::slice(&raw, 2)));
    assert!(drawn(Preview::maximum(&raw)));
}

#[test]
fn views_that_leave_the_image_and_masks_that_do_not_fit_are_refused() {
    let raw = Stack3::new(Array3::<u8>::zeros((4, 8, 8)));
    let error = Preview::slice(&raw, 4).draw().unwrap_err().to_string();
    assert_eq!(
        error,
        "a view through voxel [4, 0, 0] (z, y, x) leaves an image of extent [4, 8, 8]"
    );
    let outside = Preview::orthogonal(&raw, [0, 8, 0]).draw();
    assert!(matches!(outside, Err(PreviewError::Outside { .. })));
    let mask = Mask3::none([4, 8, 9]);
    let unfit = Preview::maximum(&raw).with_outline(&mask).draw();
    assert!(matches!(unfit, Err(PreviewError::Extent(_))));
    let empty = Stack2::new(Array2::<u8>::zeros((0, 3)));
    assert!(matches!(Preview::maximum(&empty).draw(), Err(PreviewError::Outside { .. })));
}

#[test]
fn a_sheet_has_a_bar_in_the_colour_of_each_decision_and_text_beneath() {
    let picture = || Stack2::from_channels(Array3::from_elem((3, 20, 20), 50_u8));
    let mut sheet = ContactSheet::new().with_side(40).with_columns(2);
    let refused = Decision::DontUse { reason: "dim".to_owned() };
    sheet.push("a", &Decision::Use, picture());
    sheet.push("b", &refused, picture());
    sheet.push("c", &Decision::Undecided, picture());
    let drawn = sheet.draw();
    // Squares of 40 pixels with 6 between, and 27 for the bar and two lines of text.
    assert_eq!(drawn.extent(), [2 * (40 + 27 + 6) + 6, 2 * 46 + 6]);
    assert_eq!(colour(&drawn, 6 + 20, 6 + 20), [50; 3]);
    assert_eq!(colour(&drawn, 6 + 40, 6), GREEN);
    assert_eq!(colour(&drawn, 6 + 40, 6 + 46), VERMILLION);
    assert_eq!(colour(&drawn, 6 + 73 + 40, 6), [160; 3]);
    let ink = |left: usize| {
        let text = (6 + 47..6 + 54).flat_map(|y| (left..left + 5).map(move |x| (y, x)));
        text.filter(|&(y, x)| colour(&drawn, y, x) == [0; 3]).count()
    };
    assert_eq!((ink(6), ink(52)), (14, 16), "pixels of an a and of a b");
}

#[test]
fn a_sheet_of_nothing_is_drawn_too() {
    assert_eq!(ContactSheet::new().with_side(10).draw().extent(), [10 + 27 + 12, 10 + 12]);
}
