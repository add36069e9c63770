//! The messages of ONNX, field by field: onnx.proto of ONNX 1.23 (IR version 14), github.com/onnx/onnx.
//!
//! What is not here is not known, and a file that has it is refused: it could name files or hold tensors
//! that were not checked. `TensorProto.segment` is left out on purpose: with it, a tensor's bytes are
//! those of several tensors, and no writer has used it.

use Kind::{Bytes, DataType, Doubles, Floats, Integer, Integers, Name, Single, Text};
use Message::*;

/// A message of onnx.proto.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Model,
    OperatorSet,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    Function,
    TrainingInfo,
    ValueInfo,
    Type,
    TensorType,
    SequenceType,
    MapType,
    OptionalType,
    OpaqueType,
    Shape,
    Dimension,
    Entry,
    Annotation,
    Device,
    NodeDevice,
    Sharding,
    DeviceGroup,
    ShardedDimension,
    SimpleSharding,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A varint.
    Integer,
    /// A varint, one of `TensorProto.DataType`.
    DataType,
    /// Four bytes.
    Single,
    /// A name of something: short UTF-8.
    Name,
    /// Words for people, and metadata.
    Text,
    /// Bytes of any length.
    Bytes,
    /// Varints, one by one or packed.
    Integers,
    /// Values of four bytes, one by one or packed.
    Floats,
    /// Values of eight bytes, one by one or packed.
    Doubles,
    /// A message.
    Nested(Message),
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether it may occur more than once.
    pub(super) repeated: bool,
}

impl Field {
    /// The bit that stands for it where it is noted which fields occurred; the highest number is 26.
    pub(super) fn bit(&self) -> u32 {
        1 << self.number
    }
}

impl Message {
    /// Its name in onnx.proto, and its fields.
    pub(super) fn describe(self) -> (&'static str, &'static [Field]) {
        match self {
            Model => ("ModelProto", MODEL),
            OperatorSet => ("OperatorSetIdProto", OPERATOR_SET),
            Graph => ("GraphProto", GRAPH),
            Node => ("NodeProto", NODE),
            Attribute => ("AttributeProto", ATTRIBUTE),
            Tensor => ("TensorProto", TENSOR),
            SparseTensor => ("SparseTensorProto", SPARSE_TENSOR),
            Function => ("FunctionProto", FUNCTION),
            TrainingInfo => ("TrainingInfoProto", TRAINING_INFO),
            ValueInfo => ("ValueInfoProto", VALUE_INFO),
            Type => ("TypeProto", TYPE),
            TensorType => ("TypeProto.Tensor", TENSOR_TYPE),
            SequenceType => ("TypeProto.Sequence", ELEMENT_TYPE),
            MapType => ("TypeProto.Map", MAP_TYPE),
            OptionalType => ("TypeProto.Optional", ELEMENT_TYPE),
            OpaqueType => ("TypeProto.Opaque", OPAQUE_TYPE),
            Shape => ("TensorShapeProto", SHAPE),
            Dimension => ("TensorShapeProto.Dimension", DIMENSION),
            Entry => ("StringStringEntryProto", ENTRY),
            Annotation => ("TensorAnnotation", ANNOTATION),
            Device => ("DeviceConfigurationProto", DEVICE),
            NodeDevice => ("NodeDeviceConfigurationProto", NODE_DEVICE),
            Sharding => ("ShardingSpecProto", SHARDING),
            DeviceGroup => ("IntIntListEntryProto", DEVICE_GROUP),
            ShardedDimension => ("ShardedDimProto", SHARDED_DIMENSION),
            SimpleSharding => ("SimpleShardedDimProto", SIMPLE_SHARDING),
        }
    }
}

const fn one(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, repeated: false }
}

const fn many(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, repeated: true }
}

const fn nested(number: u32, name: &'static str, message: Message) -> Field {
    one(number, name, Kind::Nested(message))
}

const fn each(number: u32, name: &'static str, message: Message) -> Field {
    many(number, name, Kind::Nested(message))
}

const MODEL: &[Field] = &[
    one(1, "ir_version", Integer),
    one(2, "producer_name", Text),
    one(3, "producer_version", Text),
    one(4, "domain", Text),
    one(5, "model_version", Integer),
    one(6, "doc_string", Text),
    nested(7, "graph", Graph),
    each(8, "opset_import", OperatorSet),
    each(14, "metadata_props", Entry),
    each(20, "training_info", TrainingInfo),
    each(25, "functions", Function),
    each(26, "configuration", Device),
];
const OPERATOR_SET: &[Field] = &[one(1, "domain", Name), one(2, "version", Integer)];
const GRAPH: &[Field] = &[
    each(1, "node", Node),
    one(2, "name", Name),
    each(5, "initializer", Tensor),
    one(10, "doc_string", Text),
    each(11, "input", ValueInfo),
    each(12, "output", ValueInfo),
    each(13, "value_info", ValueInfo),
    each(14, "quantization_annotation", Annotation),
    each(15, "sparse_initializer", SparseTensor),
    each(16, "metadata_props", Entry),
];
const NODE: &[Field] = &[
    many(1, "input", Name),
    many(2, "output", Name),
    one(3, "name", Name),
    one(4, "op_type", Name),
    each(5, "attribute", Attribute),
    one(6, "doc_string", Text),
    one(7, "domain", Name),
    one(8, "overload", Name),
    each(9, "metadata_props", Entry),
    each(10, "device_configurations", NodeDevice),
];
const ATTRIBUTE: &[Field] = &[
    one(1, "name", Name),
    one(2, "f", Single),
    one(3, "i", Integer),
    one(4, "s", Bytes),
    nested(5, "t", Tensor),
    nested(6, "g", Graph),
    many(7, "floats", Floats),
    many(8, "ints", Integers),
    many(9, "strings", Bytes),
    each(10, "tensors", Tensor),
    each(11, "graphs", Graph),
    one(13, "doc_string", Text),
    nested(14, "tp", Type),
    each(15, "type_protos", Type),
    one(20, "type", Integer),
    one(21, "ref_attr_name", Name),
    nested(22, "sparse_tensor", SparseTensor),
    each(23, "sparse_tensors", SparseTensor),
];
const TENSOR: &[Field] = &[
    many(1, "dims", Integers),
    one(2, "data_type", DataType),
    many(4, "float_data", Floats),
    many(5, "int32_data", Integers),
    many(6, "string_data", Bytes),
    many(7, "int64_data", Integers),
    one(8, "name", Name),
    one(9, "raw_data", Bytes),
    many(10, "double_data", Doubles),
    many(11, "uint64_data", Integers),
    one(12, "doc_string", Text),
    each(13, "external_data", Entry),
    one(14, "data_location", Integer),
    each(16, "metadata_props", Entry),
];
const SPARSE_TENSOR: &[Field] = &[nested(1, "values", Tensor), nested(2, "indices", Tensor), many(3, "dims", Integers)];
const FUNCTION: &[Field] = &[
    one(1, "name", Name),
    many(4, "input", Name),
    many(5, "output", Name),
    many(6, "attribute", Name),
    each(7, "node", Node),
    one(8, "doc_string", Text),
    each(9, "opset_import", OperatorSet),
    one(10, "domain", Name),
    each(11, "attribute_proto", Attribute),
    each(12, "value_info", ValueInfo),
    one(13, "overload", Name),
    each(14, "metadata_props", Entry),
];
const TRAINING_INFO: &[Field] = &[
    nested(1, "initialization", Graph),
    nested(2, "algorithm", Graph),
    each(3, "initialization_binding", Entry),
    each(4, "update_binding", Entry),
];
const VALUE_INFO: &[Field] =
    &[one(1, "name", Name), nested(2, "type", Type), one(3, "doc_string", Text), each(4, "metadata_props", Entry)];
const TYPE: &[Field] = &[
    nested(1, "tensor_type", TensorType),
    nested(4, "sequence_type", SequenceType),
    nested(5, "map_type", MapType),
    one(6, "denotation", Name),
    nested(7, "opaque_type", OpaqueType),
    nested(8, "sparse_tensor_type", TensorType),
    nested(9, "optional_type", OptionalType),
];
const TENSOR_TYPE: &[Field] = &[one(1, "elem_type", DataType), nested(2, "shape", Shape)];
const ELEMENT_TYPE: &[Field] = &[nested(1, "elem_type", Type)];
const MAP_TYPE: &[Field] = &[one(1, "key_type", DataType), nested(2, "value_type", Type)];
const OPAQUE_TYPE: &[Field] = &[one(1, "domain", Name), one(2, "name", Name)];
const SHAPE: &[Field] = &[each(1, "dim", Dimension)];
const DIMENSION: &[Field] = &[one(1, "dim_value", Integer), one(2, "dim_param", Name), one(3, "denotation", Name)];
const ENTRY: &[Field] = &[one(1, "key", Name), one(2, "value", Text)];
const ANNOTATION: &[Field] = &[one(1, "tensor_name", Name), each(2, "quant_parameter_tensor_names", Entry)];
const DEVICE: &[Field] = &[one(1, "name", Name), one(2, "num_devices", Integer), many(3, "device", Name)];
const NODE_DEVICE: &[Field] =
    &[one(1, "configuration_id", Name), each(2, "sharding_spec", Sharding), one(3, "pipeline_stage", Integer)];
const SHARDING: &[Field] = &[
    one(1, "tensor_name", Name),
    many(2, "device", Integers),
    each(3, "index_to_device_group_map", DeviceGroup),
    each(4, "sharded_dim", ShardedDimension),
];
const DEVICE_GROUP: &[Field] = &[one(1, "key", Integer), many(2, "value", Integers)];
const SHARDED_DIMENSION: &[Field] = &[one(1, "axis", Integer), each(2, "simple_sharding", SimpleSharding)];
const SIMPLE_SHARDING: &[Field] =
    &[one(1, "dim_value", Integer), one(2, "dim_param", Name), one(3, "num_shards", Integer)];
