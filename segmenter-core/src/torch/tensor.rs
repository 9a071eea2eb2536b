//! Tensors: how their values lie in a storage.

use crate::pickle::Value;

use super::{
    NamedTensor,
    decode::{Number, number},
};

/// A tensor before its values are read.
#[derive(Debug)]
pub(super) struct View {
    /// The storage's name in the archive.
    pub(super) storage: String,
    pub(super) shape: Vec<usize>,
    /// The number of values.
    pub(super) count: u64,
    number: Number,
    /// Number of values in the storage.
    storage_count: usize,
    /// The first value's place in the storage.
    offset: usize,
    /// How many values lie between neighbours along each axis.
    strides: Vec<usize>,
}

impl View {
    /// The tensor that a pickle describes, or what is wrong with it.
    pub(super) fn of(value: &Value) -> Result<Self, String> {
        let inner = value
            .as_call("torch._utils", "_rebuild_parameter")
            .and_then(|parameter| parameter.arguments.items()?.first())
            .unwrap_or(value);
        let tensor = inner
            .as_call("torch._utils", "_rebuild_tensor_v2")
            .and_then(|tensor| tensor.arguments.items());
        let Some([Value::Persistent(storage), offset, shape, strides, ..]) = tensor else {
            return Err(format!("found {value} where a tensor is needed"));
        };
        let parts = offset.as_size().zip(sizes(shape)).zip(sizes(strides));
        let ((offset, shape), strides) =
            parts.ok_or("its shape, strides or offset are no sizes")?;
        let (number, storage, storage_count) = storage_of(storage)?;
        let mut view = Self { storage, shape, count: 0, number, storage_count, offset, strides };
        view.count = view.check()?;
        Ok(view)
    }

    /// Checks that all values lie in the storage. Without overlap there are at most as many as the
    /// storage has, which keeps memory in proportion to the file.
    fn check(&self) -> Result<u64, String> {
        if self.strides.len() != self.shape.len() {
            return Err(format!(
                "it has {} axes, but {} strides",
                self.shape.len(),
                self.strides.len()
            ));
        }
        let product = |count: usize, &size: &usize| count.checked_mul(size);
        let count = self.shape.iter().try_fold(1_usize, product);
        let count = count.filter(|&count| count <= self.storage_count);
        let fits = |count: &usize| self.end(*count).is_some_and(|end| end <= self.storage_count);
        match count.filter(fits) {
            Some(count) => Ok(count as u64),
            None => Err(format!(
                "the shape {:?} with strides {:?} from {} does not fit its {} stored values",
                self.shape, self.strides, self.offset, self.storage_count
            )),
        }
    }

    /// The place after the last value, if it fits.
    fn end(&self, count: usize) -> Option<usize> {
        if count == 0 {
            return Some(self.offset);
        }
        let steps = self.shape.iter().zip(&self.strides);
        let mut last = steps.map(|(&size, &stride)| (size - 1).checked_mul(stride));
        last.try_fold(self.offset, |end, step| end.checked_add(step?))?.checked_add(1)
    }

    /// The tensor, with its values in the order of the axes.
    pub(super) fn read(self, storage: &[u8]) -> Result<NamedTensor, String> {
        let expected = self.storage_count.checked_mul(self.number.bytes());
        if expected != Some(storage.len()) {
            return Err(format!(
                "its storage {:?} has {} bytes instead of {} values of {} bytes",
                self.storage,
                storage.len(),
                self.storage_count,
                self.number.bytes()
            ));
        }
        let values = self.gather(storage);
        Ok(NamedTensor { shape: self.shape, values })
    }

    /// The values, row by row, which takes no memory but for them.
    fn gather(&self, storage: &[u8]) -> Vec<f32> {
        let count: usize = self.shape.iter().product();
        let axes = self.shape.iter().copied().zip(self.strides.iter().copied());
        // Axes of one do not matter, and without them there are few.
        let mut axes: Vec<(usize, usize)> = axes.filter(|&(size, _)| size != 1).collect();
        let (length, step) = axes.pop().unwrap_or((1, 1));
        let mut values = Vec::with_capacity(count);
        for row in 0..count.checked_div(length).unwrap_or(0) {
            let start = self.offset + place(row, &axes);
            values.extend((0..length).map(|n| self.number.read(storage, start + n * step)));
        }
        values
    }
}

/// How far into a storage the value at an index is, of axes of these sizes and strides.
fn place(mut index: usize, axes: &[(usize, usize)]) -> usize {
    let mut place = 0;
    for &(size, stride) in axes.iter().rev() {
        place += index % size * stride;
        index /= size;
    }
    place
}

fn sizes(value: &Value) -> Option<Vec<usize>> {
    value.items()?.iter().map(Value::as_size).collect()
}

/// `('storage', torch.FloatStorage, '0', 'cpu', 216)`: its numbers' type, its name and their count.
fn storage_of(value: &Value) -> Result<(Number, String, usize), String> {
    let Some([Value::Str(kind), Value::Global(storage), Value::Str(name), _device, count, ..]) =
        value.items()
    else {
        return Err("its storage is not described as PyTorch does".to_owned());
    };
    let number = number(storage).filter(|_| **kind == *"storage");
    let number = number.ok_or_else(|| {
        format!("its numbers are of {storage}; real numbers, integers and booleans are read")
    })?;
    let count = count.as_size().ok_or("its storage has no length")?;
    Ok((number, name.as_ref().to_owned(), count))
}
