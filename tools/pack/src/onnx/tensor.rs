//! Decodes the values of an ONNX `TensorProto` (`onnx.proto3` of the ONNX specification).
//!
//! The reader in tract is not used: it aborts the process for unknown types and does not support
//! bf16.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

use half::{bf16, f16};
use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};

use crate::error::Error;

/// A constant of the graph.
pub(super) struct Constant {
    pub(super) shape: Vec<usize>,
    pub(super) values: Values,
    /// Whether the values are stored in f32.
    pub(super) single_precision: bool,
}

/// Values in row-major order, grouped by their use.
pub(super) enum Values {
    /// Weights of any floating-point type.
    Float(Vec<f32>),
    /// Quantized weights and their zero points, signed or unsigned.
    Byte(Vec<i16>),
    /// Shapes, and conditions as 0 and 1.
    Integer(Vec<i64>),
}

/// Returns whether the tensor has a type that weights use, quantized or not.
pub(super) fn is_weight(proto: &TensorProto) -> bool {
    use DataType::{Bfloat16, Double, Float, Float16, Int8, Uint8};
    matches!(DataType::try_from(proto.data_type), Ok(Float | Float16 | Bfloat16 | Double | Int8 | Uint8))
}

/// Decodes `proto`, a tensor of the ONNX file `file`. External data is read from the folder of that
/// file.
pub(super) fn decode(file: &Path, proto: &TensorProto) -> Result<Constant, Error> {
    let refuse = |found: String, expected: &str| Error::field(file, tensor_name(proto), found, expected);
    let shape = proto.dims.iter().map(|&size| usize::try_from(size).ok()).collect::<Option<Vec<_>>>();
    let count = shape
        .as_ref()
        .and_then(|shape| shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size)));
    let (Some(shape), Some(count)) = (shape, count) else {
        return Err(refuse(
            format!("dimensions {:?}", proto.dims),
            "non-negative sizes whose product fits into memory",
        ));
    };
    let data_type = DataType::try_from(proto.data_type)
        .map_err(|_| refuse(format!("data type {}", proto.data_type), "a data type of ONNX"))?;
    let Some(width) = width(data_type) else {
        return Err(refuse(
            format!("data type {}", data_type.as_str_name()),
            "FLOAT, FLOAT16, BFLOAT16, DOUBLE, INT8, UINT8, BOOL, INT32 or INT64",
        ));
    };
    let external;
    let raw = if proto.data_location == Some(DataLocation::External as i32) {
        let length = count.checked_mul(width).ok_or_else(|| {
            refuse(format!("dimensions {:?}", proto.dims), "sizes whose product fits into memory")
        })?;
        external = read_external(file, proto, length)?;
        Some(external.as_slice())
    } else if proto.raw_data.is_empty() {
        None
    } else {
        Some(proto.raw_data.as_slice())
    };
    let values = match raw {
        Some(bytes) => from_bytes(data_type, bytes),
        None => from_fields(data_type, proto),
    };
    let found = match &values {
        Values::Float(values) => values.len(),
        Values::Byte(values) => values.len(),
        Values::Integer(values) => values.len(),
    };
    if found != count || raw.is_some_and(|bytes| !bytes.len().is_multiple_of(width)) {
        return Err(refuse(format!("{found} values"), &format!("{count} for the dimensions {shape:?}")));
    }
    Ok(Constant { shape, values, single_precision: data_type == DataType::Float })
}

/// Returns the size of one element in bytes, or `None` for types that are not supported.
fn width(data_type: DataType) -> Option<usize> {
    match data_type {
        DataType::Int8 | DataType::Uint8 | DataType::Bool => Some(1),
        DataType::Float16 | DataType::Bfloat16 => Some(2),
        DataType::Float | DataType::Int32 => Some(4),
        DataType::Double | DataType::Int64 => Some(8),
        _ => None,
    }
}

fn from_bytes(data_type: DataType, bytes: &[u8]) -> Values {
    let (by_two, by_four, by_eight) =
        (bytes.as_chunks::<2>().0.iter(), bytes.as_chunks::<4>().0.iter(), bytes.as_chunks::<8>().0.iter());
    match data_type {
        DataType::Float => Values::Float(by_four.map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        DataType::Double => Values::Float(by_eight.map(|bytes| f64::from_le_bytes(*bytes) as f32).collect()),
        DataType::Float16 => Values::Float(by_two.map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()),
        DataType::Bfloat16 => {
            Values::Float(by_two.map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect())
        }
        DataType::Int8 => Values::Byte(bytes.iter().map(|&byte| i16::from(byte as i8)).collect()),
        DataType::Uint8 => Values::Byte(bytes.iter().map(|&byte| i16::from(byte)).collect()),
        DataType::Bool => Values::Integer(bytes.iter().map(|&byte| i64::from(byte != 0)).collect()),
        DataType::Int32 => {
            Values::Integer(by_four.map(|bytes| i64::from(i32::from_le_bytes(*bytes))).collect())
        }
        _ => Values::Integer(by_eight.map(|bytes| i64::from_le_bytes(*bytes)).collect()),
    }
}

/// Reads values from the typed fields. Types narrower than 32 bits are stored in the low bits of
/// `int32_data`.
fn from_fields(data_type: DataType, proto: &TensorProto) -> Values {
    let narrow = proto.int32_data.iter();
    match data_type {
        DataType::Float => Values::Float(proto.float_data.clone()),
        DataType::Double => Values::Float(proto.double_data.iter().map(|&value| value as f32).collect()),
        DataType::Float16 => {
            Values::Float(narrow.map(|&bits| f16::from_bits(bits as u16).to_f32()).collect())
        }
        DataType::Bfloat16 => {
            Values::Float(narrow.map(|&bits| bf16::from_bits(bits as u16).to_f32()).collect())
        }
        DataType::Int8 => Values::Byte(narrow.map(|&value| i16::from(value as i8)).collect()),
        DataType::Uint8 => Values::Byte(narrow.map(|&value| i16::from(value as u8)).collect()),
        DataType::Bool => Values::Integer(narrow.map(|&value| i64::from(value != 0)).collect()),
        DataType::Int32 => Values::Integer(narrow.map(|&value| i64::from(value)).collect()),
        _ => Values::Integer(proto.int64_data.clone()),
    }
}

/// Reads `length` bytes from the file and offset that the `external_data` entries give
/// (`docs/ExternalData.md` of ONNX).
fn read_external(file: &Path, proto: &TensorProto, length: usize) -> Result<Vec<u8>, Error> {
    let entry = |key: &str| {
        proto.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    };
    let refuse = |key: &str, expected: String| {
        let field = format!("{}.external_data.{key}", tensor_name(proto));
        Error::field(file, field, entry(key).unwrap_or("nothing"), expected)
    };
    let location = entry("location").unwrap_or("");
    let inside =
        Path::new(location).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if location.is_empty() || !inside {
        return Err(refuse("location", "a relative path below the folder of the model".to_owned()));
    }
    let data_file = file.parent().unwrap_or(Path::new("")).join(location);
    let metadata = std::fs::metadata(&data_file).map_err(|source| Error::read(&data_file, source))?;
    if !metadata.is_file() {
        return Err(refuse("location", "the name of a file".to_owned()));
    }
    let offset = entry("offset").unwrap_or("0").parse::<u64>().ok();
    let end =
        offset.and_then(|offset| offset.checked_add(length as u64)).filter(|end| *end <= metadata.len());
    let (Some(offset), Some(_)) = (offset, end) else {
        let expected = format!("a number that leaves {length} of the {} bytes there", metadata.len());
        return Err(refuse("offset", expected));
    };
    if entry("length").is_some_and(|stated| stated.parse() != Ok(length)) {
        return Err(refuse("length", format!("{length}, from data type and dimensions")));
    }
    let mut bytes = vec![0; length];
    let mut opened = File::open(&data_file).map_err(|source| Error::read(&data_file, source))?;
    opened
        .seek(SeekFrom::Start(offset))
        .and_then(|_| opened.read_exact(&mut bytes))
        .map_err(|source| Error::read(&data_file, source))?;
    Ok(bytes)
}

fn tensor_name(proto: &TensorProto) -> &str {
    if proto.name.is_empty() { "tensor without a name" } else { &proto.name }
}
