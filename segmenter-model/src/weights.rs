//! The parameters of a network by name.
//!
//! A name is the path through the modules, `downsamples.0.conv1.conv.weight`, which is what MONAI
//! calls the same parameter. Shapes are those of a network of the model's rank: a kernel over a
//! plane is `[out, in, y, x]`.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Tensor, TensorData},
};
use segmenter_core::torch::NamedTensor;

/// Weights that do not fit a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} of the weights do not fit the network: {}", faults.len(), list(faults))]
pub struct WeightsError {
    /// Every fault found.
    pub faults: Vec<WeightFault>,
}

/// One way in which weights do not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightFault {
    /// The network needs it.
    #[error("`{name}` is missing")]
    Missing {
        /// The parameter.
        name: String,
    },
    /// The network has no place for it.
    #[error("`{name}` is not part of the network")]
    Unknown {
        /// The parameter.
        name: String,
    },
    /// It has another shape.
    #[error("`{name}` has shape {found:?}, but the network needs {expected:?}")]
    Shape {
        /// The parameter.
        name: String,
        /// The shape found.
        found: Vec<usize>,
        /// The shape needed.
        expected: Vec<usize>,
    },
}

fn list(faults: &[WeightFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// All parameters of a network for images of a rank, by name.
pub fn collect<M: Module>(network: &M, rank: usize) -> BTreeMap<String, NamedTensor> {
    let mut collector = Collector { path: Vec::new(), rank, tensors: BTreeMap::new() };
    network.visit(&mut collector);
    collector.tensors
}

/// The same network with these parameters.
///
/// # Errors
/// With every parameter that is missing, unknown or of another shape.
pub fn apply<M: Module>(
    network: M,
    rank: usize,
    tensors: BTreeMap<String, NamedTensor>,
) -> Result<M, WeightsError> {
    let faults = faults(&collect(&network, rank), &tensors);
    if !faults.is_empty() {
        return Err(WeightsError { faults });
    }
    Ok(network.map(&mut Applier { path: Vec::new(), tensors }))
}

fn faults(
    needed: &BTreeMap<String, NamedTensor>,
    found: &BTreeMap<String, NamedTensor>,
) -> Vec<WeightFault> {
    let unfit = needed.iter().filter_map(|(name, needed)| match found.get(name) {
        None => Some(WeightFault::Missing { name: name.clone() }),
        Some(found) if found.shape != needed.shape => Some(WeightFault::Shape {
            name: name.clone(),
            found: found.shape.clone(),
            expected: needed.shape.clone(),
        }),
        Some(_) => None,
    });
    let unknown = found.keys().filter(|name| !needed.contains_key(*name));
    unfit.chain(unknown.map(|name| WeightFault::Unknown { name: name.clone() })).collect()
}

struct Collector {
    path: Vec<String>,
    rank: usize,
    tensors: BTreeMap<String, NamedTensor>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.val().into_data().convert::<f32>();
        let mut shape = param.dims().to_vec();
        // The network's kernels are of rank 5; the one slice of a plane's kernel has no axis.
        if D == 5 && self.rank == 2 {
            shape.remove(2);
        }
        let values =
            data.try_to_vec().unwrap_or_else(|_| unreachable!("converted to f32 just now"));
        self.tensors.insert(self.path.join("."), NamedTensor { shape, values });
    }
}

struct Applier {
    path: Vec<String>,
    tensors: BTreeMap<String, NamedTensor>,
}

impl ModuleMapper for Applier {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(tensor) = self.tensors.remove(&self.path.join(".")) else { return param };
        let shape = param.dims();
        let device = param.device();
        let value = Tensor::from_data(TensorData::new(tensor.values, shape), &device);
        param.map(|_| value)
    }
}
