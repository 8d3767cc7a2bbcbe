//! The kernels for any processor.

/// Functions as they are.
macro_rules! kernels {
    ($(
        $(#[$meta:meta])*
        $visible:vis fn $name:ident $(<const $count:ident: usize>)? ($($arguments:tt)*) $(-> $result:ty)? $body:block
    )*) => {
        $($(#[$meta])* $visible fn $name $(<const $count: usize>)? ($($arguments)*) $(-> $result)? $body)*
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
