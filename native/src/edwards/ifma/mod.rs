//! The kernels on AVX-512 IFMA.

/// Functions of which each has the features that the intrinsics under them need.
macro_rules! kernels {
    ($(
        $(#[$meta:meta])*
        $visible:vis fn $name:ident $(<const $count:ident: usize>)? ($($arguments:tt)*) $(-> $result:ty)? $body:block
    )*) => {
        $(
            $(#[$meta])*
            #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512ifma")]
            $visible fn $name $(<const $count: usize>)? ($($arguments)*) $(-> $result)? $body
        )*
    };
}

#[path = "../lanes/encodings.rs"]
pub mod encodings;
pub mod field;
pub mod memory;
#[path = "../lanes/multiexp.rs"]
pub mod multiexp;
#[path = "../lanes/points.rs"]
pub mod points;
#[path = "../lanes/powers.rs"]
pub mod powers;
