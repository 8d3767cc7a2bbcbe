//! Numbers in both Montgomery forms: with factor R = 2^260 in limbs of 52 bits, with R = 2^256 in words.
//! The tests derive them again.

pub struct Constants {
    pub one: [u64; 5],
    pub b: [u64; 5],
    pub z: [u64; 5],
    pub root_10: [u64; 5],
    pub enter: [u64; 5],
    pub enter_256: [u64; 5],
}

pub const IFMA: Constants = Constants {
    one: [0x10, 0xf000000000000, 0xfffffffffffff, 0xffeffffffffff, 0xfffff],
    b: [
        0xdf6229c4bddfd,
        0xca8843090d89c,
        0x212ed6acf005c,
        0x83415a220abf7,
        0xc30061dd4874,
    ],
    z: [
        0xfffffffffff5f,
        0xa0fffffffffff,
        0x0,
        0xa1000000000,
        0xffffff5f0000,
    ],
    root_10: [
        0x38ee98a195fd9,
        0x6b23dcf70a1fd,
        0xa8dfee78400ad,
        0x303d913c88f9e,
        0x51d26ea2a8f,
    ],
    enter: [
        0x300,
        0xffffffff00000,
        0xffffefffffffb,
        0xfdfffffffffff,
        0x4ffffff,
    ],
    enter_256: [
        0xffd0000000a00,
        0xfffffff7fffff,
        0xffffcffffffed,
        0x100000005fff,
        0x18000000,
    ],
};

pub const PORTABLE: Constants = Constants {
    one: [0x1, 0xffffffff00000000, 0xffffffffffffffff, 0xfffffffe, 0x0],
    b: [
        0xd89cdf6229c4bddf,
        0xacf005cd78843090,
        0xe5a220abf7212ed6,
        0xdc30061d04874834,
        0x0,
    ],
    z: [0xfffffffffffffff5, 0xaffffffff, 0x0, 0xfffffff50000000b, 0x0],
    root_10: [
        0xa1fd38ee98a195fd,
        0x78400ad7423dcf70,
        0x6913c88f9ea8dfee,
        0x9051d26e12a8f304,
        0x0,
    ],
    enter: [0x3, 0xfffffffbffffffff, 0xfffffffffffffffe, 0x4fffffffd, 0x0],
    enter_256: [
        0xfffffffd0000000a,
        0xffffffedfffffff7,
        0x5fffffffc,
        0x1800000001,
        0x0,
    ],
};
