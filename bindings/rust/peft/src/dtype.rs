//! Rust's types for elements of tensors.

use crate::constants::DType;

impl DType {
    /// The bits of one element; `None` for an unknown type.
    pub fn bits(self) -> Option<usize> {
        Some(match self {
            DType::F4 => 4,
            DType::F6E2M3 | DType::F6E3M2 => 6,
            DType::Bool
            | DType::U8
            | DType::I8
            | DType::F8E4M3
            | DType::F8E5M2
            | DType::F8E8M0
            | DType::F8E4M3Fnuz
            | DType::F8E5M2Fnuz => 8,
            DType::U16 | DType::I16 | DType::F16 | DType::Bf16 => 16,
            DType::U32 | DType::I32 | DType::F32 => 32,
            DType::U64 | DType::I64 | DType::F64 | DType::C64 => 64,
            DType::Unknown(_) => return None,
        })
    }

    /// The bytes of so many elements, packed; `None` where that is no number.
    pub(crate) fn bytes(self, count: usize) -> Option<usize> {
        let bits = count.checked_mul(self.bits()?)?;
        Some(bits / 8 + usize::from(bits % 8 != 0))
    }
}

/// A Rust type that elements of a tensor have.
///
/// # Safety
///
/// It has the size of `DTYPE`, and every pattern of bits is a value.
pub unsafe trait Element: Copy + 'static {
    /// The header's name for it.
    const DTYPE: DType;
}

macro_rules! elements {
    ($($type:ty: $dtype:ident,)*) => {$(
        // SAFETY: A number of that size.
        unsafe impl Element for $type {
            const DTYPE: DType = DType::$dtype;
        }
    )*};
}

elements! {
    u8: U8,
    i8: I8,
    u16: U16,
    i16: I16,
    u32: U32,
    i32: I32,
    u64: U64,
    i64: I64,
    f32: F32,
    f64: F64,
    F16: F16,
    Bf16: Bf16,
}

/// The bits of an IEEE half, which Rust has no number type for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct F16(pub u16);

/// The bits of a bfloat16: the upper half of an f32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl From<Bf16> for f32 {
    fn from(value: Bf16) -> f32 {
        f32::from_bits(u32::from(value.0) << 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_elements_share_bytes() {
        assert_eq!(DType::F4.bytes(3), Some(2));
        assert_eq!(DType::F6E2M3.bytes(4), Some(3));
        assert_eq!(DType::Bf16.bytes(3), Some(6));
        assert_eq!(DType::F32.bytes(usize::MAX), None);
        assert_eq!(DType::Unknown(99).bytes(1), None);
    }

    #[test]
    fn a_bfloat16_is_half_an_f32() {
        assert_eq!(f32::from(Bf16(0x3fc0)), 1.5);
    }
}
