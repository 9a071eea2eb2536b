use std::{collections::BTreeMap, env, fs::File, io::BufRead, path::Path};

use expect_test::{Expect, expect};
use ndarray::Array2;
use proptest::prelude::*;

use super::{ring::VERTEX, *};
use crate::{Ellipse, Mask2, Mask3, Yx, Zyx};

/// What scikit-image's `polygon2mask` makes of the same points; see `make_fixtures.py` beside it.
const SCIKIT_IMAGE: &str = include_str!("../../tests/fixtures/regions/polygon2mask.txt");

/// One line of the file: the extent, the points as (x, y), and the mask.
fn parse(line: &str) -> ([usize; 2], Vec<(f64, f64)>, Mask2) {
    let [extent, points, mask] = line.split('|').collect::<Vec<_>>().try_into().unwrap();
    let pair =
        |text: &str, at: char| text.split_once(at).map(|(a, b)| (a.to_owned(), b.to_owned()));
    let (height, width) = pair(extent, ' ').unwrap();
    let extent = [height.parse().unwrap(), width.parse().unwrap()];
    let points = points.split(' ').map(|point| pair(point, ',').unwrap());
    let points = points.map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).collect();
    let bit = |at: usize| {
        let byte = u8::from_str_radix(&mask[at / 8 * 2..at / 8 * 2 + 2], 16).unwrap();
        byte >> (7 - at % 8) & 1 == 1
    };
    let mask = Array2::from_shape_fn(extent, |(y, x)| bit(y * extent[1] + x));
    (extent, points, Mask2::new(mask))
}

fn draw(mask: &Mask2) -> String {
    let mut picture = String::new();
    for row in mask.view().rows() {
        picture.extend(row.iter().map(|&inside| if inside { '#' } else { '.' }));
        picture.push('\n');
    }
    picture
}

#[test]
fn three_hundred_polygons_are_filled_as_scikit_image_fills_them() {
    let mut polygons = 0;
    for line in SCIKIT_IMAGE.lines() {
        let (extent, points, expected) = parse(line);
        let found = Region::polygon(points).unwrap().rasterise::<Yx>(extent);
        assert_eq!(draw(&found), draw(&expected), "{line}");
        polygons += 1;
    }
    assert_eq!(polygons, 300);
}

/// Among them are points in one place, slivers, crossings, and coordinates up to 10¹⁷; those with more
/// than three points in no order cross themselves.
#[test]
fn faults_of_any_polygon_are_listed() {
    let regions = SCIKIT_IMAGE.lines().map(|line| Region::polygon(parse(line).1).unwrap());
    let faulty = regions.filter(|region| !region.faults().is_empty()).count();
    assert!(faulty > 150, "{faulty} of 300");
    let far = [(-1e100, -1e100), (1e100, -1e100), (1e100, 1e100)];
    assert_eq!(Region::polygon(far).unwrap().faults(), []);
}

/// `POLYGON_MASKS=FILE` compares all polygons of a file that `make_fixtures.py` wrote.
#[test]
fn any_number_of_polygons_are_filled_as_scikit_image_fills_them() {
    let Some(path) = env::var_os("POLYGON_MASKS") else {
        return println!("skipped: POLYGON_MASKS names no file");
    };
    let file = std::io::BufReader::new(File::open(path).unwrap());
    let (mut polygons, mut voxels, mut different) = (0_usize, 0_usize, 0_usize);
    for line in file.lines() {
        let (extent, points, expected) = parse(&line.unwrap());
        let found = Region::polygon(points).unwrap().rasterise::<Yx>(extent);
        voxels += expected.view().len();
        different += found.view().iter().zip(expected.view()).filter(|(a, b)| a != b).count();
        polygons += 1;
    }
    println!("{polygons} polygons: {different} of {voxels} voxels differ");
    assert!(polygons > 0 && different == 0, "{different}");
}

/// Seven polygons and masks computed for CytoDL with scikit-image, points as (row, column).
#[test]
fn polygons_are_filled_as_cytodl_fills_them() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let path = shared.join("reference/cytodl/fixtures/polygon2mask_10x10.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        return println!("skipped: there is no {}", path.display());
    };
    let fixtures: Fixtures = serde_json::from_str(&text).unwrap();
    assert_eq!(fixtures.polys.len(), 7);
    for (name, points) in &fixtures.polys {
        let region = Region::polygon(points.iter().map(|&[row, column]| (column, row))).unwrap();
        let found = region.rasterise::<Yx>([10, 10]);
        let expected = fixtures.masks[name].concat().into_iter().map(|pixel| pixel == 1);
        assert!(found.view().iter().copied().eq(expected), "{name}\n{}", draw(&found));
    }
}

#[derive(serde::Deserialize)]
struct Fixtures {
    polys: BTreeMap<String, Vec<[f64; 2]>>,
    masks: BTreeMap<String, Vec<Vec<u8>>>,
}

fn check(points: &[(f64, f64)], expected: &Expect) {
    let region = Region::polygon(points.iter().copied()).unwrap();
    expected.assert_eq(&draw(&region.rasterise([6, 8])));
}

/// Pixel by pixel: whether the rule of a shape holds.
fn assert_holds(region: &Region, extent: [usize; 2], holds: impl Fn(f64, f64) -> bool) {
    let expected = Array2::from_shape_fn(extent, |(y, x)| holds(x as f64, y as f64));
    let found = region.rasterise::<Yx>(extent);
    assert_eq!(draw(&found), draw(&Mask2::new(expected)), "{region:?}");
}

#[test]
fn a_line_marks_only_its_end_pixels() {
    check(
        &[(1.0, 1.0), (5.0, 3.0)],
        &expect![[r#"
        ........
        .#......
        ........
        .....#..
        ........
        ........
    "#]],
    );
}

#[test]
fn a_boundary_through_pixel_centres_is_inside() {
    check(
        &[(1.0, 1.0), (5.0, 1.0), (5.0, 4.0), (1.0, 4.0)],
        &expect![[r#"
        ........
        .#####..
        .#####..
        .#####..
        .#####..
        ........
    "#]],
    );
}

#[test]
fn a_boundary_between_pixel_centres_leaves_them_out() {
    check(
        &[(1.5, 1.5), (5.4, 1.5), (5.4, 4.4), (1.5, 4.4)],
        &expect![[r#"
        ........
        ........
        ..####..
        ..####..
        ..####..
        ........
    "#]],
    );
}

#[test]
fn what_a_boundary_goes_around_twice_is_outside() {
    check(
        &[(0., 0.), (7., 0.), (7., 5.), (1., 5.), (1., 1.), (5., 1.), (5., 4.), (0., 4.)],
        &expect![[r#"
            ########
            ########
            ##...###
            ##...###
            ########
            .#######
        "#]],
    );
}

#[test]
fn a_hole_takes_its_boundary_with_it() {
    let region = Region::polygon([(0.0, 0.0), (7.0, 0.0), (7.0, 5.0), (0.0, 5.0)])
        .unwrap()
        .with_hole([(2.0, 1.0), (5.0, 1.0), (5.0, 4.0)])
        .unwrap();
    expect![[r#"
        ########
        ##....##
        ###...##
        ####..##
        #####.##
        ########
    "#]]
    .assert_eq(&draw(&region.rasterise([6, 8])));
}

#[test]
fn points_far_beyond_the_image_neither_fail_nor_take_long() {
    let far = [1e3, 1e9, 1e15, 1e30, 1e100];
    for at in far {
        let around = Region::polygon([(-at, -at), (at, -at), (at, at), (-at, at)]).unwrap();
        assert_eq!(around.rasterise::<Yx>([100, 100]).count(), 100 * 100, "around, {at:e}");
        let beside = Region::polygon([(at, at), (at * 0.5, at), (at * 0.5, at * 0.5)]).unwrap();
        assert_eq!(beside.rasterise::<Yx>([100, 100]).count(), 0, "beside, {at:e}");
        let before = Region::polygon([(-at, -at), (-at, -9.0), (-9.0, -at)]).unwrap();
        assert_eq!(before.rasterise::<Yx>([100, 100]).count(), 0, "before, {at:e}");
    }
}

#[test]
fn numbers_too_small_to_multiply_fill_as_they_do_pixel_by_pixel() {
    let tiny = f64::from_bits(3);
    let points = [(-3.0, tiny), (5.0, -tiny), (2.5, 1e-310), (4.0, 3.0)];
    assert_agrees(&points, [5, 7]);
}

#[test]
fn an_extent_without_pixels_has_an_empty_mask() {
    let region = Region::polygon([(0.0, 0.0), (7.0, 0.0), (7.0, 5.0)]).unwrap();
    for extent in [[0, 4], [4, 0], [0, 0]] {
        assert_eq!(region.rasterise::<Yx>(extent).count(), 0);
    }
}

/// scikit-image's rule as it is written down: each pixel asks each edge.
fn inside(points: &[(f64, f64)], x: f64, y: f64) -> bool {
    let (mut right, mut left) = (false, false);
    for (at, &(x0, y0)) in points.iter().enumerate() {
        let (x1, y1) = points[(at + points.len() - 1) % points.len()];
        let (x0, y0, x1, y1) = (x0 - x, y0 - y, x1 - x, y1 - y);
        if x0.abs() < VERTEX && y0.abs() < VERTEX {
            return true;
        }
        let crossing = (x0 * y1 - x1 * y0) / (y1 - y0);
        right ^= (y0 > 0.0) != (y1 > 0.0) && crossing > 0.0;
        left ^= (y0 < 0.0) != (y1 < 0.0) && crossing < 0.0;
    }
    right || left
}

fn assert_agrees(points: &[(f64, f64)], extent: [usize; 2]) {
    let expected = Array2::from_shape_fn(extent, |(y, x)| inside(points, x as f64, y as f64));
    let found = Region::polygon(points.iter().copied()).unwrap().rasterise::<Yx>(extent);
    assert_eq!(draw(&found), draw(&Mask2::new(expected)), "{points:?}");
}

/// Coordinates on, near and far off the centres of pixels.
fn coordinate() -> impl Strategy<Value = f64> {
    let near = (-3_i32..16).prop_map(f64::from);
    prop_oneof![
        4 => near.clone(),
        2 => near.clone().prop_map(|at| at + 0.5),
        4 => -3.0..16.0,
        1 => (near, -3_i32..4).prop_map(|(at, ulps)| at + f64::from(ulps) * 2e-16),
        1 => -1e12..1e12,
    ]
}

/// Worked by hand: 4·x² + 9·y² ≤ 36 around (4, 3).
#[test]
fn an_ellipse_holds_the_centres_that_its_equation_holds() {
    let ellipse = Ellipse::new((4.0, 3.0), [3.0, 2.0], 0.0).unwrap();
    expect![[r#"
        ........
        ....#...
        ..#####.
        .#######
        ..#####.
        ....#...
    "#]]
    .assert_eq(&draw(&Region::ellipse(ellipse).rasterise([6, 8])));
    let corners = ellipse.corners();
    let again = Ellipse::within([corners[0], corners[1], corners[2]]).unwrap();
    assert_eq!(again, ellipse);
}

#[test]
fn a_brush_paints_round_ends_and_joins() {
    let path = Region::path([(1.0, 1.0), (5.0, 1.0), (5.0, 4.0)], 2.0).unwrap();
    expect![[r#"
        .#####..
        #######.
        .######.
        ....###.
        ....###.
        .....#..
    "#]]
    .assert_eq(&draw(&path.rasterise([6, 8])));
}

/// By hand: in each column, the row nearest to the line y = 0.4 + 2.7/7.1·(x - 0.2).
#[test]
fn a_path_one_pixel_wide_has_no_gaps() {
    let path = Region::path([(0.2, 0.4), (7.3, 3.1)], 1.0).unwrap();
    expect![[r#"
        #.......
        .###....
        ....##..
        ......##
        ........
        ........
    "#]]
    .assert_eq(&draw(&path.rasterise([6, 8])));
}

#[test]
fn parts_are_added_and_subtracted_in_order_slice_by_slice() {
    let square = |from: f64, to: f64| Region::rectangle((from, from), (to, to)).unwrap();
    let region = square(0.0, 3.0)
        .difference(square(1.0, 2.0).through_z(1..=1))
        .union(square(2.0, 2.0).through_z(0..=1))
        .through_z(0..=2);
    let counts = region.rasterise::<Zyx>([4, 5, 5]);
    let counts: Vec<usize> =
        counts.view().outer_iter().map(|z| z.iter().filter(|&&inside| inside).count()).collect();
    assert_eq!(counts, [16, 16 - 4 + 1, 16, 0]);
    assert_eq!(region.bounds(&Window::<Zyx>::whole([9, 9, 9])).unwrap().extent, [3, 4, 4]);
    assert_eq!(region.bounds(&Window::<Zyx>::new([3, 0, 0], [4, 9, 9])), None);
}

#[test]
fn a_slice_is_covered_from_edge_to_edge_in_one_run() {
    let region = Region::whole_slices(1..=2);
    let mut runs = Vec::new();
    region.for_each_run(&Window::<Zyx>::whole([5, 3, 4]), |run| runs.push((run.start, run.end)));
    assert_eq!(runs, [(12, 36)]);
}

#[test]
fn a_brush_and_an_ellipse_far_away_neither_fail_nor_take_long() {
    for at in [1e9, 1e20, 1e30] {
        let around = Region::ellipse(Ellipse::new((0.0, 0.0), [at, at], 0.3).unwrap());
        assert_eq!(around.rasterise::<Yx>([50, 50]).count(), 2500, "{at:e}");
        let beside = Region::ellipse(Ellipse::new((at, at), [at / 4.0, 1.0], 0.3).unwrap());
        assert_eq!(beside.rasterise::<Yx>([50, 50]).count(), 0, "{at:e}");
        let path = Region::path([(-at, 7.0), (at, 7.0)], 3.0).unwrap();
        assert_eq!(path.rasterise::<Yx>([50, 50]).count(), 150, "{at:e}");
    }
}

proptest! {
    #[test]
    fn rows_decide_as_pixels_do(
        points in prop::collection::vec((coordinate(), coordinate()), 1..9),
    ) {
        assert_agrees(&points, [12, 13]);
    }

    #[test]
    fn a_window_is_cut_out_of_the_whole(
        points in prop::collection::vec((coordinate(), coordinate()), 1..9),
        start in [0_usize..6, 0_usize..6, 0_usize..6],
        extent in [0_usize..6, 0_usize..6, 0_usize..6],
    ) {
        let region = Region::polygon(points).unwrap().through_z(3..=7);
        let whole = region.rasterise::<Zyx>([12, 12, 12]);
        let window = Window::<Zyx>::new(start, extent);
        let found = region.rasterise_window(&window);
        let whole = whole.view();
        prop_assert_eq!(found.view(), window.view(&whole));
    }

    #[test]
    fn rows_of_an_ellipse_hold_what_its_pixels_hold(
        centre in (coordinate(), coordinate()),
        axes in [(-9.0..9.0, -9.0..9.0), (-9.0..9.0, -9.0..9.0)],
    ) {
        let ellipse = Ellipse::from_axes(centre, axes);
        prop_assume!(ellipse.is_ok());
        let ellipse = ellipse.unwrap();
        assert_holds(&Region::ellipse(ellipse), [12, 13], |x, y| ellipse.holds(x, y));
    }

    #[test]
    fn rows_of_a_path_hold_what_is_within_reach(
        points in prop::collection::vec((coordinate(), coordinate()), 1..5),
        width in prop_oneof![(1_i32..9).prop_map(f64::from), 0.01..9.0],
    ) {
        let region = Region::path(points, width).unwrap();
        let Shape::Path(path) = region.shape() else { panic!("a path") };
        assert_holds(&region, [12, 13], |x, y| path.strokes().any(|stroke| stroke.holds(x, y)));
    }

    #[test]
    fn what_is_painted_is_covered_by_window(
        pixels in prop::collection::vec(any::<bool>(), 4 * 5 * 6),
        start in [0_usize..2, 0_usize..3, 0_usize..4],
        extent in [0_usize..3, 0_usize..3, 0_usize..3],
    ) {
        let mask = Mask3::new(ndarray::Array3::from_shape_vec((4, 5, 6), pixels).unwrap());
        let region = Region::painted(&mask);
        let window = Window::<Zyx>::new(start, extent);
        prop_assert_eq!(&region.rasterise::<Zyx>([4, 5, 6]), &mask);
        let (found, whole) = (region.rasterise_window(&window), mask.view());
        prop_assert_eq!(found.view(), window.view(&whole));
        let text = serde_json::to_string(&region).unwrap();
        prop_assert_eq!(serde_json::from_str::<Region>(&text).unwrap(), region);
    }

    #[test]
    fn runs_are_combined_as_their_pixels_are(
        a in prop::collection::vec(any::<bool>(), 4 * 5),
        b in prop::collection::vec(any::<bool>(), 4 * 5),
    ) {
        let [x, y] = [&a, &b].map(|pixels| Runs::of_pixels(pixels, 5));
        let both = |rule: fn(bool, bool) -> bool| -> Vec<bool> {
            a.iter().zip(&b).map(|(&a, &b)| rule(a, b)).collect()
        };
        prop_assert_eq!(x.union(&y), Runs::of_pixels(&both(|a, b| a | b), 5));
        prop_assert_eq!(x.difference(&y), Runs::of_pixels(&both(|a, b| a & !b), 5));
        prop_assert_eq!(x.symmetric_difference(&y), Runs::of_pixels(&both(|a, b| a ^ b), 5));
        let mixed = y.iter().chain(x.iter()).collect();
        prop_assert_eq!(Runs::unordered(mixed), x.union(&y));
    }

    #[test]
    fn neither_the_first_point_nor_the_direction_matters(
        mut points in prop::collection::vec((coordinate(), coordinate()), 1..9),
        turn in 0_usize..8,
    ) {
        let expected = Region::polygon(points.clone()).unwrap().rasterise::<Yx>([12, 12]);
        let turn = turn % points.len();
        points.rotate_left(turn);
        points.reverse();
        let found = Region::polygon(points).unwrap().rasterise::<Yx>([12, 12]);
        prop_assert_eq!(found, expected);
    }
}
