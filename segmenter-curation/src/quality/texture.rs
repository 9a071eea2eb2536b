//! Focus, noise and edges: what follows from a voxel and its neighbours in the slice.

use super::plane::Plane;

/// Sums over voxels, from which moments follow. Sums of slices add up to those of the image.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn push(&mut self, value: f64) {
        self.count += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }

    fn variance(&self) -> Option<f64> {
        let mean = self.mean()?;
        let variance = self.squares / self.count - mean * mean;
        // What rounding leaves of equal values is no variance.
        Some(if variance > 1e-12 * mean * mean { variance } else { 0.0 })
    }
}

/// Sums over the neighbourhoods of slices.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Texture {
    intensity: Moments,
    laplacian: Moments,
    /// Absolute second differences along both axes, where all nine voxels are background.
    noise: Moments,
    /// The same anywhere.
    noise_anywhere: Moments,
    /// Products of differences from `pivot`, voxel and right or lower neighbour.
    neighbours: Pairs,
    gradient_at_edge: Moments,
    gradient_elsewhere: Moments,
}

impl Texture {
    /// Takes in a slice. Voxels that touch its border have no Laplacian and no gradient.
    pub(crate) fn of(plane: &Plane) -> Self {
        let mut texture = Self::default();
        let (rows, columns) = plane.raw.dim();
        for ((y, x), &value) in plane.raw.indexed_iter() {
            if !plane.counted[[y, x]] {
                continue;
            }
            let value = f64::from(value);
            texture.intensity.push(value);
            for (y, x) in [(y + 1, x), (y, x + 1)] {
                if plane.counted.get([y, x]) == Some(&true) {
                    texture.neighbours.push(value, f64::from(plane.raw[[y, x]]));
                }
            }
            if (1..rows.saturating_sub(1)).contains(&y)
                && (1..columns.saturating_sub(1)).contains(&x)
            {
                texture.push_neighbourhood(plane, y, x);
            }
        }
        texture
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.intensity.add(&other.intensity);
        self.laplacian.add(&other.laplacian);
        self.noise.add(&other.noise);
        self.noise_anywhere.add(&other.noise_anywhere);
        self.neighbours.add(&other.neighbours);
        self.gradient_at_edge.add(&other.gradient_at_edge);
        self.gradient_elsewhere.add(&other.gradient_elsewhere);
    }

    pub(crate) fn focus(&self) -> Option<f64> {
        let variance = self.intensity.variance().filter(|&variance| variance > 0.0)?;
        Some(self.laplacian.variance()? / variance)
    }

    /// Immerkær's estimate.
    pub(crate) fn noise(&self) -> Option<f64> {
        let mean = self.noise.mean().or_else(|| self.noise_anywhere.mean())?;
        Some((std::f64::consts::PI / 2.0).sqrt() * mean / 6.0)
    }

    pub(crate) fn structure(&self) -> Option<f64> {
        self.neighbours.correlation()
    }

    pub(crate) fn edge(&self) -> Option<f64> {
        let elsewhere = self.gradient_elsewhere.mean().filter(|&mean| mean > 0.0)?;
        Some(self.gradient_at_edge.mean()? / elsewhere)
    }

    fn push_neighbourhood(&mut self, plane: &Plane, y: usize, x: usize) {
        let at = |dy: usize, dx: usize| f64::from(plane.raw[[y + dy - 1, x + dx - 1]]);
        let cross = at(0, 1) + at(2, 1) + at(1, 0) + at(1, 2);
        let corners = at(0, 0) + at(0, 2) + at(2, 0) + at(2, 2);
        self.laplacian.push(cross - 4.0 * at(1, 1));

        let inside = |dy: usize, dx: usize| plane.inside[[y + dy - 1, x + dx - 1]];
        let noise = (corners - 2.0 * cross + 4.0 * at(1, 1)).abs();
        self.noise_anywhere.push(noise);
        if (0..9).all(|step| !inside(step / 3, step % 3)) {
            self.noise.push(noise);
        }

        let along =
            |[a, b, c]: [f64; 3], [d, e, f]: [f64; 3]| (a + 2.0 * b + c - d - 2.0 * e - f) / 8.0;
        let dy = along([at(2, 0), at(2, 1), at(2, 2)], [at(0, 0), at(0, 1), at(0, 2)]);
        let dx = along([at(0, 2), at(1, 2), at(2, 2)], [at(0, 0), at(1, 0), at(2, 0)]);
        let beside = [(0, 1), (1, 0), (1, 2), (2, 1)];
        let edge = beside.into_iter().any(|(dy, dx)| inside(dy, dx) != inside(1, 1));
        let gradient = if edge { &mut self.gradient_at_edge } else { &mut self.gradient_elsewhere };
        gradient.push(dy.hypot(dx));
    }
}

/// Sums over pairs of voxels.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pairs {
    first: Moments,
    second: Moments,
    products: f64,
}

impl Pairs {
    pub(crate) fn push(&mut self, first: f64, second: f64) {
        self.first.push(first);
        self.second.push(second);
        self.products += first * second;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.first.add(&other.first);
        self.second.add(&other.second);
        self.products += other.products;
    }

    /// Pearson's correlation, or none if either is constant.
    pub(crate) fn correlation(&self) -> Option<f64> {
        let (first, second) = (self.first.variance()?, self.second.variance()?);
        let covariance =
            self.products / self.first.count - self.first.mean()? * self.second.mean()?;
        let scale = (first * second).sqrt();
        (scale > 0.0).then(|| (covariance / scale).clamp(-1.0, 1.0))
    }
}
