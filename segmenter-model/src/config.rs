//! The shape of a network, as a value.

use segmenter_core::Space;
use serde::{Deserialize, Serialize};

/// The shape of a [`DynUNet`](crate::DynUNet): what MONAI's class of that name calls `filters`,
/// `strides`, `kernel_size` and `upsample_kernel_size`, one entry a level, from the input down.
///
/// ```
/// use segmenter_core::Zyx;
/// use segmenter_model::DynUNetConfig;
///
/// let config = DynUNetConfig::<Zyx>::small().with_in_channels(2);
/// assert_eq!(config.filters, [8, 16, 32]);
/// assert_eq!(config.divisor(), [4, 4, 4]);
/// config.check_patch([16, 32, 32])?;
/// assert!(config.check_patch([16, 32, 30]).is_err());
/// # Ok::<(), segmenter_model::PatchError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "", deny_unknown_fields)]
pub struct DynUNetConfig<S: Space> {
    /// Channels of the raw image.
    pub in_channels: usize,
    /// Channels of logits, one for each structure.
    pub out_channels: usize,
    /// Feature maps of each level.
    pub filters: Vec<usize>,
    /// Kernel of the convolutions of each level.
    pub kernel_size: Vec<S::Extent>,
    /// Stride of the first convolution of each level; 1 along an axis that is not made coarser.
    pub strides: Vec<S::Extent>,
    /// Kernel and stride of the transposed convolution that leads up from each level but the first.
    pub upsample_kernel_size: Vec<S::Extent>,
    /// Whether the blocks on the way down have a residual connection.
    pub res_block: bool,
    /// The normalisation after each convolution.
    #[serde(default)]
    pub norm: Norm,
    /// The slope of the activation, a leaky ReLU, for negative values; 0 makes it a ReLU.
    #[serde(default = "negative_slope")]
    pub negative_slope: f64,
    /// Whether the transposed convolutions have a bias.
    #[serde(default)]
    pub trans_bias: bool,
    /// Outputs at coarser levels that a network trained elsewhere brought along (MONAI's
    /// `deep_supr_num`). They are kept and not computed.
    #[serde(default)]
    pub deep_supervision_heads: usize,
    /// The share of features that were dropped in training elsewhere. In prediction nothing is
    /// dropped, nor is it in training here; the number is kept for going back.
    #[serde(default)]
    pub dropout: f64,
}

/// The normalisation after each convolution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Norm {
    /// What is normalised together.
    pub kind: NormKind,
    /// Whether each channel has a learned scale and offset.
    pub affine: bool,
    /// Added to the variance.
    pub epsilon: f64,
}

/// What is normalised together, to mean 0 and variance 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NormKind {
    /// Each channel of each image.
    Instance,
    /// Each channel over the batch, in training. In prediction, the statistics that training saw are
    /// used.
    Batch {
        /// How far the kept statistics move towards those of a batch, from 0 to 1.
        momentum: f64,
    },
    /// So many groups of channels of each image.
    Group {
        /// The number of groups.
        groups: usize,
    },
}

/// MONAI's default for DynUNet, with the constant of PyTorch.
impl Default for Norm {
    fn default() -> Self {
        Self { kind: NormKind::Instance, affine: true, epsilon: 1e-5 }
    }
}

/// A network of absurd strides has no such number; then it is the largest there is.
fn next_multiple(size: usize, divisor: usize) -> usize {
    size.checked_next_multiple_of(divisor.max(1)).unwrap_or(usize::MAX)
}

/// MONAI's default for DynUNet.
fn negative_slope() -> f64 {
    0.01
}

/// A network that can't be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Two levels at least: one to go down from and one to arrive at.
    #[error("a network needs at least 2 levels, `filters` names {found}")]
    TooFewLevels {
        /// Levels named.
        found: usize,
    },
    /// The lists do not describe the same number of levels.
    #[error("`{list}` has {found} entries, but {levels} levels need {expected}")]
    Levels {
        /// The field.
        list: &'static str,
        /// Entries found.
        found: usize,
        /// Entries needed.
        expected: usize,
        /// Levels that `filters` names.
        levels: usize,
    },
    /// A number that has to be at least 1 is 0.
    #[error("`{field}` holds a 0")]
    Zero {
        /// The field.
        field: &'static str,
    },
    /// A level's stride is not undone on the way up, so the skip connection does not fit.
    #[error(
        "level {level} has stride {stride:?} but is scaled up by {upsample:?}; the two have to agree"
    )]
    Unequal {
        /// The level, counted from 0 at the input.
        level: usize,
        /// Its stride.
        stride: Vec<usize>,
        /// Its upsampling.
        upsample: Vec<usize>,
    },
    /// Kernels of even size do not keep the extent.
    #[error("level {level} has kernel {kernel:?}; kernels have to be odd along each axis")]
    EvenKernel {
        /// The level, counted from 0 at the input.
        level: usize,
        /// Its kernel.
        kernel: Vec<usize>,
    },
    /// The channels of a level do not make whole groups.
    #[error("level {level} has {filters} feature maps, which do not make {groups} groups")]
    Groups {
        /// The level, counted from 0 at the input.
        level: usize,
        /// Its feature maps.
        filters: usize,
        /// Groups of the normalisation.
        groups: usize,
    },
    /// A number is outside of what it means.
    #[error("`{field}` is {found}, but it has to be {needed}")]
    Range {
        /// The field.
        field: &'static str,
        /// What it is.
        found: String,
        /// What it may be.
        needed: &'static str,
    },
    /// There are more outputs at coarser levels than such levels.
    #[error("{found} deep supervision heads are too many for {levels} levels")]
    Heads {
        /// Heads asked for.
        found: usize,
        /// Levels that `filters` names.
        levels: usize,
    },
    /// The first level makes the image coarser, so logits would be smaller than the image.
    #[error("the first level has stride {found:?}; it has to be 1 along each axis")]
    FirstStride {
        /// The stride found.
        found: Vec<usize>,
    },
}

/// A patch that a network can't take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a patch of {found:?} does not suit this network: each axis has to be a multiple of {divisor:?}, \
     with more than one voxel left at the bottleneck; {suggestion:?} would do"
)]
pub struct PatchError {
    /// The patch asked for.
    pub found: Vec<usize>,
    /// What each axis has to be a multiple of.
    pub divisor: Vec<usize>,
    /// The next larger patch that the network takes.
    pub suggestion: Vec<usize>,
}

/// The three sizes that the Allen Cell Segmenter ML plugin offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// 8, 16, 32 feature maps: 30 thousand parameters over planes, 86 thousand over volumes.
    #[default]
    Small,
    /// 16, 32, 64 feature maps: 120 thousand and 342 thousand parameters.
    Medium,
    /// 32, 64, 128 feature maps: 477 thousand and 1.37 million parameters.
    Large,
}

impl<S: Space> DynUNetConfig<S> {
    /// A residual network with kernels of 3 and these feature maps and strides a level, of one
    /// channel in and one out.
    #[must_use]
    pub fn new(filters: &[usize], strides: &[S::Extent]) -> Self {
        Self {
            in_channels: 1,
            out_channels: 1,
            filters: filters.to_vec(),
            kernel_size: vec![S::extent_from_fn(|_| 3); filters.len()],
            strides: strides.to_vec(),
            upsample_kernel_size: strides.get(1..).unwrap_or_default().to_vec(),
            res_block: true,
            norm: Norm::default(),
            negative_slope: negative_slope(),
            trans_bias: false,
            deep_supervision_heads: 0,
            dropout: 0.0,
        }
    }

    /// One of the plugin's sizes: three levels, each half as fine as the one above it.
    #[must_use]
    pub fn of_size(size: Size) -> Self {
        let width = match size {
            Size::Small => 8,
            Size::Medium => 16,
            Size::Large => 32,
        };
        let (one, two) = (S::extent_from_fn(|_| 1), S::extent_from_fn(|_| 2));
        Self::new(&[width, 2 * width, 4 * width], &[one, two, two])
    }

    /// [`Size::Small`].
    #[must_use]
    pub fn small() -> Self {
        Self::of_size(Size::Small)
    }

    /// [`Size::Medium`].
    #[must_use]
    pub fn medium() -> Self {
        Self::of_size(Size::Medium)
    }

    /// [`Size::Large`].
    #[must_use]
    pub fn large() -> Self {
        Self::of_size(Size::Large)
    }

    /// The same shape for images of so many channels.
    #[must_use]
    pub fn with_in_channels(self, in_channels: usize) -> Self {
        Self { in_channels, ..self }
    }

    /// The same shape for so many structures.
    #[must_use]
    pub fn with_out_channels(self, out_channels: usize) -> Self {
        Self { out_channels, ..self }
    }

    /// Checks that a network of this shape can be built.
    ///
    /// # Errors
    /// With the first thing that does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        let levels = self.filters.len();
        if levels < 2 {
            return Err(ConfigError::TooFewLevels { found: levels });
        }
        self.check_lengths(levels)?;
        self.check_zeros()?;
        self.check_strides()?;
        self.check_norm()?;
        if self.deep_supervision_heads > levels - 2 {
            return Err(ConfigError::Heads { found: self.deep_supervision_heads, levels });
        }
        let even = |kernel: &S::Extent| kernel.as_ref().iter().any(|size| size % 2 == 0);
        match self.kernel_size.iter().position(even) {
            None => Ok(()),
            Some(level) => Err(ConfigError::EvenKernel {
                level,
                kernel: self.kernel_size[level].as_ref().to_vec(),
            }),
        }
    }

    fn check_lengths(&self, levels: usize) -> Result<(), ConfigError> {
        let lengths = [
            ("kernel_size", self.kernel_size.len(), levels),
            ("strides", self.strides.len(), levels),
            ("upsample_kernel_size", self.upsample_kernel_size.len(), levels - 1),
        ];
        match lengths.into_iter().find(|(_, found, expected)| found != expected) {
            None => Ok(()),
            Some((list, found, expected)) => {
                Err(ConfigError::Levels { list, found, expected, levels })
            }
        }
    }

    fn check_zeros(&self) -> Result<(), ConfigError> {
        let zero = |extents: &[S::Extent]| extents.iter().any(|e| e.as_ref().contains(&0));
        let fields = [
            ("in_channels", self.in_channels == 0),
            ("out_channels", self.out_channels == 0),
            ("filters", self.filters.contains(&0)),
            ("kernel_size", zero(&self.kernel_size)),
            ("strides", zero(&self.strides)),
        ];
        match fields.into_iter().find(|(_, zero)| *zero) {
            None => Ok(()),
            Some((field, _)) => Err(ConfigError::Zero { field }),
        }
    }

    fn check_strides(&self) -> Result<(), ConfigError> {
        let first = self.strides[0].as_ref();
        if first.iter().any(|&stride| stride != 1) {
            return Err(ConfigError::FirstStride { found: first.to_vec() });
        }
        for (below, (stride, upsample)) in
            self.strides[1..].iter().zip(&self.upsample_kernel_size).enumerate()
        {
            if stride != upsample {
                return Err(ConfigError::Unequal {
                    level: below + 1,
                    stride: stride.as_ref().to_vec(),
                    upsample: upsample.as_ref().to_vec(),
                });
            }
        }
        Ok(())
    }

    fn check_norm(&self) -> Result<(), ConfigError> {
        let range = |holds: bool, field, found: f64, needed| match holds {
            true => Ok(()),
            false => Err(ConfigError::Range { field, found: found.to_string(), needed }),
        };
        let Norm { kind, epsilon, .. } = self.norm;
        range(epsilon.is_finite() && epsilon > 0.0, "norm.epsilon", epsilon, "above 0")?;
        let slope = self.negative_slope;
        range(slope.is_finite(), "negative_slope", slope, "a finite number")?;
        match kind {
            NormKind::Instance => Ok(()),
            NormKind::Batch { momentum } => {
                let share = (0.0..=1.0).contains(&momentum);
                range(share, "norm.momentum", momentum, "from 0 to 1")
            }
            NormKind::Group { groups } => self.check_groups(groups),
        }
    }

    fn check_groups(&self, groups: usize) -> Result<(), ConfigError> {
        let unfit = |filters: &usize| !filters.is_multiple_of(groups);
        match self.filters.iter().position(unfit) {
            None => Ok(()),
            Some(level) => Err(ConfigError::Groups { level, filters: self.filters[level], groups }),
        }
    }

    /// An upper bound of the number of parameters, if it can be counted.
    pub(crate) fn parameters(&self) -> Option<usize> {
        let volume = |extent: S::Extent| {
            extent.as_ref().iter().try_fold(1_usize, |volume, &size| volume.checked_mul(size))
        };
        let product = |factors: [usize; 3]| {
            factors.into_iter().try_fold(1_usize, |product, factor| product.checked_mul(factor))
        };
        let mut total = 0_usize;
        let mut above = self.in_channels.max(self.out_channels);
        for (level, &filters) in self.filters.iter().enumerate() {
            let widest = filters.checked_add(above)?;
            // Two convolutions, a projection and their normalisations on the way down, at most as
            // many on the way up, a step between the levels, and a head.
            let kernel = volume(self.kernel_size[level])?.checked_add(1)?.checked_mul(4)?;
            let step = match level {
                0 => 1,
                _ => volume(self.upsample_kernel_size[level - 1])?,
            };
            total = total.checked_add(product([widest, widest, kernel.checked_add(step)?])?)?;
            above = filters;
        }
        Some(total)
    }

    /// What each axis of a patch has to be a multiple of: the product of the strides.
    #[must_use]
    pub fn divisor(&self) -> S::Extent {
        let strides = |axis: usize| self.strides.iter().map(move |stride| stride.as_ref()[axis]);
        S::extent_from_fn(|axis| strides(axis).fold(1, usize::saturating_mul))
    }

    /// Checks that the network takes patches of this extent: each axis a multiple of the
    /// [divisor](Self::divisor), and more than one voxel at the bottleneck, because the instance
    /// normalisation of a single voxel is always zero.
    ///
    /// # Errors
    /// If it does not, with an extent that would do.
    pub fn check_patch(&self, patch: S::Extent) -> Result<(), PatchError> {
        let suggestion = self.next_patch(patch);
        if suggestion == patch {
            return Ok(());
        }
        Err(PatchError {
            found: patch.as_ref().to_vec(),
            divisor: self.divisor().as_ref().to_vec(),
            suggestion: suggestion.as_ref().to_vec(),
        })
    }

    /// The smallest patch that the network takes and that is no smaller than this.
    #[must_use]
    pub fn next_patch(&self, patch: S::Extent) -> S::Extent {
        let divisor = self.divisor();
        let divisor = divisor.as_ref();
        let mut next =
            S::extent_from_fn(|axis| next_multiple(patch.as_ref()[axis].max(1), divisor[axis]));
        if next.as_ref() == divisor {
            let last = S::RANK - 1;
            next.as_mut()[last] = divisor[last].saturating_mul(2);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use segmenter_core::{Yx, Zyx};

    use super::*;

    #[test]
    fn the_plugins_sizes_are_three_levels_of_stride_two() {
        let config = DynUNetConfig::<Yx>::large();
        assert_eq!(config.filters, [32, 64, 128]);
        assert_eq!(config.strides, [[1, 1], [2, 2], [2, 2]]);
        assert_eq!(config.upsample_kernel_size, [[2, 2], [2, 2]]);
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn a_patch_of_one_voxel_at_the_bottleneck_is_refused() {
        let error = DynUNetConfig::<Zyx>::small().check_patch([4, 4, 4]).unwrap_err();
        assert_eq!(error.suggestion, [4, 4, 8]);
        assert_eq!(DynUNetConfig::<Zyx>::small().check_patch([4, 4, 8]), Ok(()));
    }

    #[test]
    fn an_anisotropic_network_asks_less_of_z() {
        let strides = [[1, 1, 1], [1, 2, 2], [2, 2, 2], [1, 2, 2]];
        let config = DynUNetConfig::<Zyx>::new(&[8, 16, 32, 64], &strides);
        assert_eq!(config.divisor(), [2, 8, 8]);
        assert_eq!(config.next_patch([5, 60, 64]), [6, 64, 64]);
    }

    #[test]
    fn every_misfit_is_named() {
        let good = DynUNetConfig::<Yx>::small();
        let mut lists = good.clone();
        lists.strides.pop();
        assert!(matches!(lists.check(), Err(ConfigError::Levels { list: "strides", .. })));
        let mut zero = good.clone();
        zero.filters[1] = 0;
        assert_eq!(zero.check(), Err(ConfigError::Zero { field: "filters" }));
        let mut even = good.clone();
        even.kernel_size[2] = [2, 3];
        assert!(matches!(even.check(), Err(ConfigError::EvenKernel { level: 2, .. })));
        let mut unequal = good.clone();
        unequal.upsample_kernel_size[0] = [3, 2];
        assert!(matches!(unequal.check(), Err(ConfigError::Unequal { level: 1, .. })));
        let mut coarse = good;
        coarse.strides[0] = [2, 2];
        assert!(matches!(coarse.check(), Err(ConfigError::FirstStride { .. })));
    }
}
