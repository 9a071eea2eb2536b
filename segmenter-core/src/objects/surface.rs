//! How large the surface of an object is, from how often lines cross it.

use std::f64::consts::{FRAC_PI_2, PI, TAU};

use crate::Space;

/// A direction in which lines run through the voxels of a grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direction {
    /// From one voxel of a line to the next: slices, rows and columns, where the slices of a plane are its
    /// rows.
    pub(super) step: [isize; 3],
    /// What one crossing adds to the surface in µm², or to the perimeter in µm.
    pub(super) weight: f64,
}

/// The directions from a voxel to its neighbours, 13 in a volume and 4 in a plane, each with the share in all
/// directions of those that are closest to it.
///
/// The surface is four times the mean area of the projections, and the perimeter π times the mean length of
/// the projections (Crofton's and Cauchy's formulas; Legland, Kiêu and Devaux 2007,
/// <https://doi.org/10.5566/ias.v26.p83-92>). A projection is counted by lines, of which there is one for
/// the volume of a voxel over the distance of two voxels on it, and each crosses the surface going in and
/// going out.
pub(super) fn directions<S: Space>(edges: S::Reals) -> Vec<Direction> {
    let edges = edges.as_ref();
    let voxel: f64 = edges.iter().product();
    let edges =
        if S::RANK == 3 { [edges[0], edges[1], edges[2]] } else { [edges[0], 1.0, edges[1]] };
    let steps: Vec<[isize; 3]> = steps().filter(|step| S::RANK == 3 || step[1] == 0).collect();
    let vectors: Vec<Vector> = steps.iter().map(|step| scaled(*step, edges)).collect();
    let units: Vec<Vector> = vectors.iter().map(|vector| unit(*vector)).collect();
    let shares = if S::RANK == 3 { shares_of_sphere(&units) } else { shares_of_circle(&units) };
    let mean = if S::RANK == 3 { 2.0 } else { FRAC_PI_2 };
    let parts = steps.into_iter().zip(vectors).zip(shares);
    parts
        .map(|((step, vector), share)| Direction {
            step,
            weight: mean * share * voxel / dot(vector, vector).sqrt(),
        })
        .collect()
}

/// One of each pair of opposite steps to the neighbours of a voxel.
fn steps() -> impl Iterator<Item = [isize; 3]> {
    (14..27).map(|at| [at / 9 - 1, at / 3 % 3 - 1, at % 3 - 1])
}

type Vector = [f64; 3];

#[allow(clippy::cast_precision_loss, reason = "steps are -1, 0 or 1")]
fn scaled(step: [isize; 3], edges: [f64; 3]) -> Vector {
    std::array::from_fn(|axis| step[axis] as f64 * edges[axis])
}

fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn sum(a: Vector, b: Vector, times: f64) -> Vector {
    std::array::from_fn(|axis| a[axis] + times * b[axis])
}

fn unit(vector: Vector) -> Vector {
    vector.map(|part| part / dot(vector, vector).sqrt())
}

/// The share of each direction in a half circle: half the angle to the next on either side.
fn shares_of_circle(units: &[Vector]) -> Vec<f64> {
    let angle = |unit: &Vector| unit[2].atan2(unit[0]).rem_euclid(PI);
    let shares = units.iter().map(|unit| {
        let around = units.iter().map(|other| (angle(other) - angle(unit)).rem_euclid(PI));
        let around: Vec<f64> = around.filter(|&apart| apart > 0.0).collect();
        let next = around.iter().copied().fold(PI, f64::min);
        let last = around.iter().copied().fold(0.0, f64::max);
        (next + PI - last) / 2.0 / PI
    });
    shares.collect()
}

/// The share of each direction in all directions: twice the part of the unit sphere that is closer to it
/// than to the others and to their opposites.
fn shares_of_sphere(units: &[Vector]) -> Vec<f64> {
    let opposite = |unit: &Vector| unit.map(|part| -part);
    let all: Vec<Vector> = units.iter().copied().chain(units.iter().map(opposite)).collect();
    units.iter().map(|unit| 2.0 * solid_angle(&cell(*unit, &all)) / (2.0 * TAU)).collect()
}

/// The corners of the part of the plane that touches the sphere at `centre` through which directions pass
/// that are closest to it.
fn cell(centre: Vector, all: &[Vector]) -> Vec<Vector> {
    let least = (0..3).min_by(|&a, &b| centre[a].abs().total_cmp(&centre[b].abs())).unwrap_or(0);
    let mut axis = [0.0; 3];
    axis[least] = 1.0;
    let across = unit(cross(centre, axis));
    let up = cross(centre, across);
    // No direction is more than 55 degrees from the closest axis, so the cell is within 55 degrees of its
    // centre, where the plane is 1.42 away.
    let corners = [[-2.0, -2.0], [2.0, -2.0], [2.0, 2.0], [-2.0, 2.0]];
    let mut corners: Vec<Vector> =
        corners.iter().map(|at| sum(sum(centre, across, at[0]), up, at[1])).collect();
    for other in all {
        let towards = sum(centre, *other, -1.0);
        if dot(towards, towards) > 0.0 {
            corners = clipped(&corners, towards);
        }
    }
    corners
}

/// The part of a convex polygon on the side of a plane through the origin to which `towards` points.
fn clipped(corners: &[Vector], towards: Vector) -> Vec<Vector> {
    let mut kept = Vec::new();
    for (index, &corner) in corners.iter().enumerate() {
        let next = corners[(index + 1) % corners.len()];
        let (here, there) = (dot(corner, towards), dot(next, towards));
        if here >= 0.0 {
            kept.push(corner);
        }
        if (here < 0.0) != (there < 0.0) {
            kept.push(sum(corner, sum(next, corner, -1.0), here / (here - there)));
        }
    }
    kept
}

/// The solid angle of a convex polygon, triangle by triangle (van Oosterom and Strackee 1983,
/// <https://doi.org/10.1109/TBME.1983.325207>).
fn solid_angle(corners: &[Vector]) -> f64 {
    let corners: Vec<Vector> = corners.iter().map(|corner| unit(*corner)).collect();
    let Some((&first, rest)) = corners.split_first() else { return 0.0 };
    let triangles = rest.windows(2).map(|pair| {
        let (second, third) = (pair[0], pair[1]);
        let volume = dot(first, cross(second, third)).abs();
        let around = 1.0 + dot(first, second) + dot(second, third) + dot(third, first);
        2.0 * volume.atan2(around)
    });
    triangles.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Yx, Zyx};

    fn shares(edges: [f64; 3]) -> Vec<f64> {
        let units: Vec<_> = steps().map(|step| unit(scaled(step, edges))).collect();
        shares_of_sphere(&units)
    }

    #[test]
    fn shares_of_cubic_voxels_are_those_of_matimage() {
        // imMinkowski of MatImage 1.2, computeDirectionWeights3d13: three axes, six diagonals of faces,
        // four of the cube.
        let expected = [0.045_777_891_204_76, 0.036_980_627_876_08, 0.035_195_639_782_32];
        for (step, share) in steps().zip(shares([1.0; 3])) {
            let differing = step.iter().filter(|&&part| part != 0).count();
            assert!((share - 2.0 * expected[differing - 1]).abs() < 1e-12, "{step:?}: {share}");
        }
    }

    #[test]
    fn shares_add_up_to_one_whatever_the_shape_of_voxels() {
        for edges in [[1.0; 3], [0.29, 0.108, 0.108], [10.0, 1.0, 1.0], [0.1, 7.0, 2.0]] {
            assert!((shares(edges).iter().sum::<f64>() - 1.0).abs() < 1e-12, "{edges:?}");
        }
        for edges in [[1.0, 1.0], [0.3, 2.0]] {
            let units = steps().filter(|step| step[1] == 0);
            let units: Vec<_> =
                units.map(|step| unit(scaled(step, [edges[0], 1.0, edges[1]]))).collect();
            assert!(
                (shares_of_circle(&units).iter().sum::<f64>() - 1.0).abs() < 1e-12,
                "{edges:?}"
            );
        }
    }

    #[test]
    fn a_pixel_has_the_perimeter_of_scikit_image() {
        // perimeter_crofton(np.ones((1, 1))) = π/2 (1 + 1/√2); each direction is crossed twice.
        let sum: f64 =
            directions::<Yx>([1.0, 1.0]).iter().map(|direction| 2.0 * direction.weight).sum();
        assert!((sum - FRAC_PI_2 * (1.0 + 0.5_f64.sqrt())).abs() < 1e-12);
        assert_eq!(directions::<Zyx>([1.0; 3]).len(), 13);
    }
}
