//! Tensors of safetensors files (<https://github.com/huggingface/safetensors>): one, or several
//! with an index. They are computed with as `f32`.

use std::collections::{BTreeSet, HashMap};
use std::io::{Read, Seek, SeekFrom};

use candle_core::quantized::GgmlDType;
use candle_core::{DType, Tensor};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::Progress;
use super::adapter::Adapter;
use super::gguf::{Bytes, dense};
use crate::error::EngineError;
use crate::files::{self, ModelFiles, ReadSeek};
use crate::limits::{DIMENSIONS, SAFETENSORS_HEADER_BYTES, TENSOR_ELEMENTS, TENSORS};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Open safetensors files whose headers have been checked.
pub(crate) struct SafetensorsWeights<'a> {
    shards: Vec<(String, Box<dyn ReadSeek>)>,
    tensors: HashMap<String, Place>,
    progress: Progress<'a>,
    /// What is added to the matrices.
    adapter: Option<Box<Adapter>>,
}

struct Place {
    shard: usize,
    dtype: DType,
    shape: Vec<usize>,
    start: u64,
    bytes: usize,
}

impl<'a> SafetensorsWeights<'a> {
    /// Whether a model has such files.
    pub(crate) fn are_in(files: &dyn ModelFiles) -> bool {
        files.files().iter().any(|file| file.path == SINGLE || file.path == INDEX)
    }

    /// The model's own tensors, with what an adapter beside them adds.
    pub(crate) fn open(files: &dyn ModelFiles, tell: &'a dyn Fn(u64, u64)) -> Result<Self, EngineError> {
        let weights = Self::open_files(files, shard_names(files)?, tell)?;
        let adapter = Adapter::is_in(files).then(|| Adapter::open(files)).transpose()?.map(Box::new);
        Ok(Self { adapter, ..weights })
    }

    /// The tensors of one file.
    pub(super) fn open_file(files: &dyn ModelFiles, path: &str) -> Result<Self, EngineError> {
        Self::open_files(files, BTreeSet::from([path.to_owned()]), &|_, _| ())
    }

    fn open_files(
        files: &dyn ModelFiles,
        paths: BTreeSet<String>,
        tell: &'a dyn Fn(u64, u64),
    ) -> Result<Self, EngineError> {
        let lengths: HashMap<String, u64> = files.files().into_iter().map(|file| (file.path, file.len)).collect();
        let mut shards = Vec::new();
        let mut tensors = HashMap::new();
        for path in paths {
            let &len = lengths.get(&path).ok_or_else(|| EngineError::missing_file(&path))?;
            let mut file = files::open(files, &path)?;
            for (name, place) in read_header(&path, &mut file, len, shards.len())? {
                if tensors.insert(name.clone(), place).is_some() {
                    return Err(malformed(&path, format!("tensor {name} is in another file, too")));
                }
            }
            shards.push((path, file));
        }
        let total = tensors.values().map(|place| place.bytes as u64).sum();
        Ok(Self { shards, tensors, progress: Progress::new(total, tell), adapter: None })
    }

    /// The names of all tensors.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A matrix as the file has it; with what the adapter adds, in single precision.
    pub(crate) fn raw(&mut self, name: &str) -> Result<(GgmlDType, Bytes), EngineError> {
        if let Some(mut adapter) = self.adapter.take() {
            let applied = self.tensor(name).and_then(|matrix| adapter.apply(name, matrix));
            self.adapter = Some(adapter);
            let numbers: Vec<f32> = applied?.flatten_all()?.to_vec1()?;
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            return Ok((GgmlDType::F32, bytes.into()));
        }
        let (bytes, dtype, _) = self.read(name)?;
        Ok((packing(dtype), bytes.into()))
    }

    pub(crate) fn matrices(&self) -> Vec<(GgmlDType, usize, usize)> {
        let matrix = |place: &Place| match *place.shape.as_slice() {
            // What an adapter is added to is kept in single precision.
            [rows, columns] if self.adapter.is_some() => Some((GgmlDType::F32, rows, columns)),
            [rows, columns] => Some((packing(place.dtype), rows, columns)),
            _ => None,
        };
        self.tensors.values().filter_map(matrix).collect()
    }

    /// A matrix, with what the adapter adds to it.
    pub(super) fn matrix(&mut self, name: &str) -> Result<Tensor, EngineError> {
        let matrix = self.tensor(name)?;
        match &mut self.adapter {
            None => Ok(matrix),
            Some(adapter) => adapter.apply(name, matrix),
        }
    }

    /// Says that the whole adapter was applied.
    pub(super) fn finish(&self) -> Result<(), EngineError> {
        self.adapter.as_ref().map_or(Ok(()), |adapter| adapter.finish())
    }

    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.tensors.get(name)?.shape)
    }

    pub(crate) fn tensor(&mut self, name: &str) -> Result<Tensor, EngineError> {
        let (bytes, dtype, shape) = self.read(name)?;
        dense(&bytes, dtype, &shape)
    }

    fn read(&mut self, name: &str) -> Result<(Vec<u8>, DType, Vec<usize>), EngineError> {
        let missing = || EngineError::MissingTensor { name: name.to_owned() };
        let place = self.tensors.get(name).ok_or_else(missing)?;
        let (path, file) = self.shards.get_mut(place.shard).ok_or_else(missing)?;
        let mut bytes = vec![0; place.bytes];
        file.seek(SeekFrom::Start(place.start))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|source| EngineError::Read { path: path.clone(), source })?;
        self.progress.add(place.bytes as u64);
        Ok((bytes, place.dtype, place.shape.clone()))
    }
}

/// What GGUF calls such numbers.
fn packing(dtype: DType) -> GgmlDType {
    match dtype {
        DType::F16 => GgmlDType::F16,
        DType::BF16 => GgmlDType::BF16,
        // Nothing else passes `read_header`.
        _ => GgmlDType::F32,
    }
}

/// The files that the index names, or the single one.
fn shard_names(files: &dyn ModelFiles) -> Result<BTreeSet<String>, EngineError> {
    let Some(index) = files::json(files, INDEX)? else { return Ok(BTreeSet::from([SINGLE.to_owned()])) };
    let map = index["weight_map"].as_object().ok_or_else(|| malformed(INDEX, "it has no weight_map"))?;
    map.values()
        .map(|name| name.as_str().map(str::to_owned).ok_or_else(|| malformed(INDEX, "a file name is no text")))
        .collect()
}

fn read_header(
    path: &str,
    file: &mut Box<dyn ReadSeek>,
    len: u64,
    shard: usize,
) -> Result<Vec<(String, Place)>, EngineError> {
    let failed = |source| EngineError::Read { path: path.to_owned(), source };
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(failed)?;
    let length = u64::from_le_bytes(length);
    if length > SAFETENSORS_HEADER_BYTES || length > len {
        return Err(malformed(path, format!("a header of {length} bytes")));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(failed)?;
    // Deserializing also checks that tensors follow each other without gap or overlap.
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| malformed(path, error.to_string()))?;
    let data = length + 8;
    let tensors = metadata.tensors();
    if tensors.len() as u64 > TENSORS {
        return Err(malformed(path, "too many tensors"));
    }
    tensors
        .into_iter()
        // 0, 1, 2 and so on, which older writers of encoders left in: nobody reads it.
        .filter(|(name, info)| !(info.dtype == Dtype::I64 && name.ends_with("embeddings.position_ids")))
        .map(|(name, info)| {
            let (start, end) = info.data_offsets;
            let dtype = match info.dtype {
                Dtype::F32 => DType::F32,
                Dtype::F16 => DType::F16,
                Dtype::BF16 => DType::BF16,
                other => return Err(EngineError::unsupported("the type of a tensor", format!("{name} is {other:?}"))),
            };
            if info.shape.len() > DIMENSIONS {
                return Err(malformed(path, format!("tensor {name} has {} dimensions", info.shape.len())));
            }
            let wanted =
                info.shape.iter().try_fold(dtype.size_in_bytes(), |product, &length| product.checked_mul(length));
            let bytes =
                end.checked_sub(start).filter(|&bytes| Some(bytes) == wanted && bytes as u64 <= TENSOR_ELEMENTS * 4);
            let place = data.checked_add(end as u64).filter(|&end| end <= len).and(bytes);
            let bytes = place.ok_or_else(|| malformed(path, format!("tensor {name} does not fit its place")))?;
            Ok((name, Place { shard, dtype, shape: info.shape.clone(), start: data + start as u64, bytes }))
        })
        .collect()
}

fn malformed(path: &str, reason: impl AsRef<str>) -> EngineError {
    EngineError::malformed("a safetensors file", format!("{path}: {}", reason.as_ref()))
}
