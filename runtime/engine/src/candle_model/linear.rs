//! A matrix to multiply rows with, packed or dense.

use candle_core::quantized::{GgmlDType, QMatMul, QStorage, QTensor};
use candle_core::{D, Device, Module, Result, Tensor};

/// Rows from which candle has a better kernel (AMX) for single Q4_K matrices than for fused ones.
pub(super) const MANY_ROWS: usize = 32;

/// `y = x Wᵀ`, for a `W` of as many rows as outputs.
pub(crate) enum Linear {
    /// Packed weights, whose rows may be filled up with zeros beyond `columns`.
    Packed {
        /// The weights.
        weight: QMatMul,
        /// Columns that mean something.
        columns: usize,
    },
    /// Weights as `f32`.
    Dense(Tensor),
}

impl Linear {
    pub(crate) fn packed(weight: QTensor, columns: usize) -> Self {
        Self::Packed { weight: QMatMul::QTensor(weight.into()), columns }
    }

    pub(crate) fn dense(weight: Tensor) -> Self {
        Self::Dense(weight)
    }

    /// The same matrix in the memory of `device`.
    pub(super) fn on(self, device: &Device) -> Result<Self> {
        match self {
            Self::Dense(weight) => weight.to_device(device).map(Self::Dense),
            Self::Packed { weight: QMatMul::QTensor(tensor), columns } if !device.is_cpu() => {
                let storage = QStorage::from_data(tensor.data()?, device, tensor.dtype())?;
                Ok(Self::packed(QTensor::new(storage, tensor.shape().clone())?, columns))
            }
            packed @ Self::Packed { .. } => Ok(packed),
        }
    }

    /// The products of all rows of `x`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Packed { weight, columns } => weight.forward(&fill_up(x, padding(weight, *columns)?)?),
            Self::Dense(weight) => x.matmul(&weight.t()?),
        }
    }

    /// The products with several matrices, in one go where their packing allows it.
    pub(crate) fn forward_all<const N: usize>(matrices: [&Self; N], x: &Tensor) -> Result<[Tensor; N]> {
        if let Some(products) = forward_fused(&matrices, x)?
            && let Ok(products) = <[Tensor; N]>::try_from(products)
        {
            return Ok(products);
        }
        let products: Result<Vec<Tensor>> = matrices.iter().map(|matrix| matrix.forward(x)).collect();
        products?.try_into().map_err(|_| candle_core::Error::Msg("a product is missing".into()))
    }

    /// The rows of the matrix with these numbers.
    pub(crate) fn rows(&self, numbers: &[u32]) -> Result<Tensor> {
        match self {
            Self::Packed { weight, columns } => {
                let numbers = Tensor::new(numbers, &Device::Cpu)?;
                weight.embedding(&numbers)?.narrow(D::Minus1, 0, *columns)?.contiguous()
            }
            Self::Dense(weight) => weight.index_select(&Tensor::new(numbers, weight.device())?, 0),
        }
    }
}

/// Fused products of packed matrices of one kind: the input is packed once, and the threads
/// meet once.
fn forward_fused(matrices: &[&Linear], x: &Tensor) -> Result<Option<Vec<Tensor>>> {
    let mut packed = Vec::with_capacity(matrices.len());
    let mut fill = None;
    for matrix in matrices {
        let Linear::Packed { weight: weight @ QMatMul::QTensor(tensor), columns } = matrix else {
            return Ok(None);
        };
        let padding = padding(weight, *columns)?;
        if *fill.get_or_insert(padding) != padding {
            return Ok(None);
        }
        packed.push(tensor.as_ref());
    }
    let many = x.dim(0)? >= MANY_ROWS;
    if many && packed.first().is_some_and(|tensor| tensor.dtype() == GgmlDType::Q4K) {
        return Ok(None);
    }
    QTensor::gemv_fused_shared_lhs(&packed, &fill_up(x, fill.unwrap_or(0))?)
}

fn padding(weight: &QMatMul, columns: usize) -> Result<usize> {
    let QMatMul::QTensor(tensor) = weight else { return Ok(0) };
    Ok(tensor.shape().dims2()?.1 - columns)
}

fn fill_up(x: &Tensor, padding: usize) -> Result<Tensor> {
    x.pad_with_zeros(D::Minus1, 0, padding)?.contiguous()
}
