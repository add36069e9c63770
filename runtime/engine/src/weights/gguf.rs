//! Tensors of a GGUF file.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};

use candle_core::quantized::GgmlDType;
use candle_core::{DType, Tensor};

use super::{DEVICE, Progress, packing};
use crate::candle_model::Linear;
use crate::error::EngineError;
use crate::files::ReadSeek;
use crate::gguf::TensorInfo;

/// An open GGUF file whose header has been checked.
pub(crate) struct GgufWeights<'a> {
    path: String,
    file: Box<dyn ReadSeek>,
    tensors: HashMap<String, TensorInfo>,
    threads: usize,
    progress: Progress<'a>,
    /// Memory of a tensor that is done with: fresh pages cost as much as reading into them.
    spare: Option<Bytes>,
}

impl<'a> GgufWeights<'a> {
    pub(crate) fn new(
        path: String,
        file: Box<dyn ReadSeek>,
        tensors: HashMap<String, TensorInfo>,
        threads: usize,
        tell: &'a dyn Fn(u64, u64),
    ) -> Self {
        let total = tensors.values().map(|info| info.bytes).sum();
        Self { path, file, tensors, threads, progress: Progress::new(total, tell), spare: None }
    }

    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.tensors.get(name)?.shape)
    }

    /// The names of all tensors.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A matrix as the file has it.
    pub(crate) fn raw(&mut self, name: &str) -> Result<(GgmlDType, Bytes), EngineError> {
        let (info, bytes) = self.read(name)?;
        Ok((info.kind, bytes))
    }

    /// Takes back what [`Self::raw`] gave, to use its memory again.
    pub(super) fn keep(&mut self, bytes: Bytes) {
        self.spare = Some(bytes);
    }

    pub(crate) fn matrices(&self) -> Vec<(GgmlDType, usize, usize)> {
        let matrix = |info: &TensorInfo| match *info.shape.as_slice() {
            [rows, columns] => Some((info.kind, rows, columns)),
            _ => None,
        };
        self.tensors.values().filter_map(matrix).collect()
    }

    /// A matrix; `to_multiply` brings it into a packing that is fast for that.
    pub(super) fn matrix(&mut self, name: &str, to_multiply: bool) -> Result<Linear, EngineError> {
        let (info, bytes) = self.read(name)?;
        let &[rows, columns] = info.shape.as_slice() else {
            return Err(EngineError::TensorShape { name: name.to_owned(), found: info.shape, wanted: vec![0, 0] });
        };
        match dense_type(info.kind) {
            Some(dtype) => Ok(Linear::dense(dense(&bytes, dtype, &info.shape)?)),
            None => packing::linear(info.kind, &bytes, rows, columns, to_multiply, self.threads),
        }
    }

    pub(crate) fn vector(&mut self, name: &str) -> Result<Tensor, EngineError> {
        let (info, bytes) = self.read(name)?;
        match dense_type(info.kind) {
            Some(dtype) => dense(&bytes, dtype, &info.shape),
            None => Err(EngineError::unsupported("the packing of a vector", format!("{name} is {:?}", info.kind))),
        }
    }

    fn read(&mut self, name: &str) -> Result<(TensorInfo, Bytes), EngineError> {
        let info = self.tensors.get(name).ok_or_else(|| EngineError::MissingTensor { name: name.to_owned() })?.clone();
        let failed = |source| EngineError::Read { path: self.path.clone(), source };
        self.file.seek(SeekFrom::Start(info.start)).map_err(failed)?;
        let mut bytes = Bytes::of_length(self.spare.take(), info.bytes as usize);
        self.file.read_exact(bytes.as_mut()).map_err(failed)?;
        self.progress.add(info.bytes);
        Ok((info, bytes))
    }
}

fn dense_type(kind: GgmlDType) -> Option<DType> {
    match kind {
        GgmlDType::F32 => Some(DType::F32),
        GgmlDType::F16 => Some(DType::F16),
        GgmlDType::BF16 => Some(DType::BF16),
        _ => None,
    }
}

/// Little-endian numbers as an `f32` tensor.
pub(super) fn dense(bytes: &[u8], dtype: DType, shape: &[usize]) -> Result<Tensor, EngineError> {
    Ok(Tensor::from_raw_buffer(bytes, dtype, shape, &DEVICE)?.to_dtype(DType::F32)?)
}

/// Bytes whose address suits every packing, which candle insists on.
pub(crate) struct Bytes {
    buffer: Vec<u8>,
    start: usize,
    length: usize,
}

impl Bytes {
    const ALIGNMENT: usize = 16;

    /// In the memory of others, if they are large enough.
    fn of_length(spare: Option<Self>, length: usize) -> Self {
        let mut buffer = spare.map_or_else(Vec::new, |spare| spare.buffer);
        if buffer.len() < length + Self::ALIGNMENT {
            buffer = vec![0; length + Self::ALIGNMENT];
        }
        let start = buffer.as_ptr().align_offset(Self::ALIGNMENT).min(Self::ALIGNMENT);
        Self { buffer, start, length }
    }

    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.start + self.length]
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(buffer: Vec<u8>) -> Self {
        let length = buffer.len();
        Self { buffer, start: 0, length }
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[self.start..self.start + self.length]
    }
}
