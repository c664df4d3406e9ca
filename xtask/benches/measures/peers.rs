//! The peers: how others replay one exchange of 24 bytes.

use embedded_hal::i2c::I2c;
use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
use std::collections::HashMap;
use std::hint::black_box;

/// The exchange that every replay of a call is measured with: 24 bytes in, 64 bytes out.
pub(crate) const INPUT: usize = 24;
pub(crate) const OUTPUT: usize = 64;

/// The input of exchange number `index`.
pub(crate) fn input(index: u64) -> [u8; INPUT] {
    let mut bytes = [0x11; INPUT];
    bytes[..8].copy_from_slice(&index.to_le_bytes());
    bytes
}

/// embedded-hal-mock: expectations in order, each checked.
pub(crate) fn embedded_hal_mock(prepared: u64) -> impl FnOnce(u64) {
    let expectations: Vec<_> = (0..prepared)
        .map(|index| Transaction::write_read(1, input(index).to_vec(), vec![2; OUTPUT]))
        .collect();
    let inputs: Vec<_> = (0..prepared).map(input).collect();
    let mut mock = Mock::new(&expectations);
    move |iterations| {
        let mut output = [0; OUTPUT];
        for input in inputs.iter().take(iterations as usize) {
            assert!(mock.write_read(1, black_box(input), black_box(&mut output)).is_ok());
        }
        // Dropped, it would insist on the exchanges that were not asked for.
        std::mem::forget(mock);
    }
}

/// The floor of a strict replay: a vector in order, inputs compared, outputs copied.
pub(crate) fn vector(prepared: u64) -> impl FnOnce(u64) {
    let steps: Vec<_> = (0..prepared).map(|index| (input(index), [2; OUTPUT])).collect();
    let inputs: Vec<_> = (0..prepared).map(input).collect();
    move |iterations| {
        let mut output = [0; OUTPUT];
        for (input, step) in inputs.iter().zip(&steps).take(iterations as usize) {
            assert!(black_box(input) == &step.0);
            black_box(&mut output).copy_from_slice(&step.1);
        }
    }
}

/// The floor of a keyed replay: a hash map of `size` entries, looked up in the order of recording.
pub(crate) fn hash_map(size: u64) -> impl FnOnce(u64) {
    let map: HashMap<[u8; INPUT], [u8; OUTPUT]> =
        (0..size).map(|index| (input(index), [2; OUTPUT])).collect();
    let inputs: Vec<_> = (0..size).map(input).collect();
    move |iterations| {
        let mut output = [0; OUTPUT];
        for input in inputs.iter().cycle().take(iterations as usize) {
            black_box(&mut output).copy_from_slice(&map[black_box(input)]);
        }
    }
}

mod device {
    #[mockall::automock]
    pub(crate) trait Device {
        fn exchange(&self, input: [u8; crate::peers::INPUT]) -> [u8; crate::peers::OUTPUT];
    }
}

/// mockall with `size` expectations, one for each input.
pub(crate) fn mockall(size: u64) -> impl FnOnce(u64) {
    use device::Device;
    let mut mock = device::MockDevice::new();
    for index in 0..size {
        let expected = input(index);
        mock.expect_exchange().withf(move |input| *input == expected).returning(|_| [2; OUTPUT]);
    }
    let inputs: Vec<_> = (0..size).map(input).collect();
    move |iterations| {
        for input in inputs.iter().cycle().take(iterations as usize) {
            black_box(mock.exchange(black_box(*input)));
        }
    }
}
