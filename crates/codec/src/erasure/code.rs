//! The code itself: rows of coefficients over GF(2⁸), and their application to shards.
//!
//! The field, its SIMD kernels and the generator matrix are those of `reed-solomon-erasure`. Solving for the shards
//! that are wanted is ours, because that crate decodes only into shards that it may write to, whereas ours are
//! shared, and because one row gives any single shard, data or parity, in one pass.

use std::sync::OnceLock;

use reed_solomon_erasure::galois_8::{self, ReedSolomon};
use strongroom_types::{
    ErasureScheme,
    limits::{DATA_SHARDS_MAX, PARITY_SHARDS_MAX},
};

/// Shards are worked on in windows of this size, so that those of one stripe stay in the second-level cache. Measured:
/// 5 to 10 % for 8+4 and 16+4, nothing for 4+2, where a whole stripe nearly fits anyway.
const WINDOW_BYTES: usize = 16 << 10;

const SCHEMES: usize = DATA_SHARDS_MAX as usize * PARITY_SHARDS_MAX as usize;

/// Coefficients of one shard over k others.
pub(super) type Row = Vec<u8>;

/// The generator matrix of one scheme: row i gives shard i from the data shards, so the first k are the identity.
pub(super) struct Code {
    data: usize,
    rows: Vec<Row>,
}

impl Code {
    /// The code of a scheme, made once.
    pub(super) fn of(scheme: ErasureScheme) -> &'static Self {
        static CODES: [OnceLock<Code>; SCHEMES] = [const { OnceLock::new() }; SCHEMES];
        let at = (scheme.data() - 1) * usize::from(PARITY_SHARDS_MAX) + scheme.parity() - 1;
        CODES[at].get_or_init(|| Self::new(scheme))
    }

    fn new(scheme: ErasureScheme) -> Self {
        let data = scheme.data();
        let codec = ReedSolomon::new(data, scheme.parity()).expect("schemes are far below 256 shards");
        // The parity of the unit vectors is the lower part of the matrix.
        let mut rows: Vec<Row> = (0..data).map(|index| unit(data, index)).collect();
        let mut parity = vec![vec![0; data]; scheme.parity()];
        codec.encode_sep(&rows, &mut parity).expect("as many shards as the codec was made for, of one length");
        rows.append(&mut parity);
        Self { data, rows }
    }

    /// Rows that give the parity shards from the data shards.
    pub(super) fn parity_rows(&self) -> &[Row] {
        &self.rows[self.data..]
    }

    /// Rows that give the `wanted` shards from the k `present` ones.
    pub(super) fn rows_from(&self, present: &[usize], wanted: &[usize]) -> Vec<Row> {
        // present = G · data, so data = G⁻¹ · present, and shard w = row w · G⁻¹ · present.
        let inverse = invert(present.iter().map(|index| self.rows[*index].clone()).collect());
        wanted.iter().map(|index| times(&self.rows[*index], &inverse)).collect()
    }
}

fn unit(len: usize, one_at: usize) -> Row {
    let mut row = vec![0; len];
    row[one_at] = 1;
    row
}

fn times(row: &[u8], matrix: &[Row]) -> Row {
    let mut product = vec![0; row.len()];
    for (factor, other) in row.iter().zip(matrix) {
        add_times(&mut product, *factor, other);
    }
    product
}

fn add_times(row: &mut [u8], factor: u8, other: &[u8]) {
    for (cell, other) in row.iter_mut().zip(other) {
        *cell ^= galois_8::mul(factor, *other);
    }
}

/// Gauss and Jordan. Any k different rows of a generator matrix are independent, so there always is an inverse.
fn invert(mut matrix: Vec<Row>) -> Vec<Row> {
    let size = matrix.len();
    let mut inverse: Vec<Row> = (0..size).map(|index| unit(size, index)).collect();
    for column in 0..size {
        let pivot = (column..size).find(|row| matrix[*row][column] != 0).expect("any k different shards suffice");
        matrix.swap(column, pivot);
        inverse.swap(column, pivot);
        let scale = galois_8::div(1, matrix[column][column]);
        for row in [&mut matrix[column], &mut inverse[column]] {
            row.iter_mut().for_each(|cell| *cell = galois_8::mul(*cell, scale));
        }
        let (pivot_row, pivot_inverse) = (matrix[column].clone(), inverse[column].clone());
        for row in (0..size).filter(|row| *row != column) {
            let factor = matrix[row][column];
            add_times(&mut matrix[row], factor, &pivot_row);
            add_times(&mut inverse[row], factor, &pivot_inverse);
        }
    }
    inverse
}

/// Overwrites each output with the sum of the inputs times its row. All are of one length.
pub(super) fn combine(rows: &[Row], inputs: &[&[u8]], outputs: &mut [&mut [u8]]) {
    assert_eq!(rows.len(), outputs.len(), "a row for each output");
    let len = inputs[0].len();
    for start in (0..len).step_by(WINDOW_BYTES) {
        let window = start..(start + WINDOW_BYTES).min(len);
        for (row, output) in rows.iter().zip(outputs.iter_mut()) {
            combine_window(row, inputs, &mut output[window.clone()], window.start);
        }
    }
}

fn combine_window(row: &[u8], inputs: &[&[u8]], output: &mut [u8], start: usize) {
    assert_eq!(row.len(), inputs.len(), "a coefficient for each input");
    let window = start..start + output.len();
    for (position, (factor, input)) in row.iter().zip(inputs).enumerate() {
        let input = &input[window.clone()];
        if position == 0 {
            galois_8::mul_slice(*factor, input, output);
        } else {
            galois_8::mul_slice_xor(*factor, input, output);
        }
    }
}
