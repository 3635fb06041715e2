use burn::tensor::DType;

use super::*;
use crate::testing::{assert_close, devices, elements, random, random_on, random_tensor};

/// What the `gguf` package of Python makes of blocks; `tests/oracles/gguf_blocks.py` wrote it.
static GGUF: &[u8] = include_bytes!("../../tests/fixtures/blocks.bin");
const ROWS: usize = 2;
const WIDTH: usize = 256;
const Q8: QuantizedFormat = QuantizedFormat::Q8_0;

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

/// A format, its blocks, and the numbers that they stand for.
type Sample = (BlockFormat, &'static [u8], Vec<f32>);

/// The samples of every format, and what is behind them.
fn fixture() -> (Vec<Sample>, &'static [u8]) {
    let mut rest = GGUF;
    let mut take = |n| {
        let (taken, behind) = rest.split_at(n);
        rest = behind;
        taken
    };
    let of = |format: BlockFormat| {
        let bytes = take(ROWS * format.row_bytes(WIDTH).unwrap());
        (format, bytes, floats(take(4 * ROWS * WIDTH)))
    };
    let formats = BlockFormat::ALL.map(of).into();
    (formats, rest)
}

fn matrix(format: BlockFormat, bytes: &[u8]) -> BlockMatrix {
    BlockMatrix::new(WIDTH, vec![BlockRows { format, rows: ROWS }], bytes.to_vec())
}

#[test]
fn numbers_are_those_of_the_gguf_package() {
    for (format, bytes, expected) in fixture().0 {
        let widened = matrix(format, bytes).blocks.widened();
        for (at, (ours, expected)) in widened.iter().zip(&expected).enumerate() {
            assert_eq!(
                ours.to_bits(),
                expected.to_bits(),
                "{format:?}, number {at}: {ours} instead of {expected}"
            );
        }
    }
}

#[test]
fn blocks_are_those_of_the_gguf_package() {
    let rest = fixture().1;
    let (numbers, blocks) = rest.split_at(4 * WIDTH);
    let (eight_bits, four_bits) = blocks.split_at(WIDTH / 32 * 34);
    let numbers = floats(numbers);
    assert_eq!(QuantizedFormat::Q8_0.blocks(&numbers), eight_bits);
    assert_eq!(QuantizedFormat::Q4_0.blocks(&numbers), four_bits);
}

/// A matrix with rows in every format.
fn mixed() -> BlockMatrix {
    let formats = fixture().0;
    // Formats alternate, and the runs are of other lengths than those that are multiplied together.
    let order = [3, 3, 8, 0, 4, 4, 4, 9, 10, 1, 5, 6, 7, 2, 3, 8, 8, 9];
    let bands = order.map(|at| BlockRows { format: formats[at].0, rows: ROWS });
    let bytes = order.iter().flat_map(|&at| formats[at].1).copied().collect();
    BlockMatrix::new(WIDTH, bands.into(), bytes)
}

#[test]
fn product_is_that_of_the_matrix_it_stands_for() {
    for device in devices() {
        // On both sides of every way that products are made.
        for rows in [1, 2, 3, 4, 5, 8, 13, 32, 33, 100] {
            let x = random_on::<2>(&device, 3, [rows, WIDTH], 0.1);
            let matrix = mixed();
            let weight = matrix.to_weight(&device);
            let exact = elements(x.clone().cast(DType::F64).matmul(weight.cast(DType::F64)));
            let product = elements(block_product(x.clone(), &matrix));
            assert_close("single precision", &product, &exact, 3e-5);
            let reference = elements(block_product(x.cast(DType::F64), &matrix));
            assert_close("reference", &reference, &exact, 1e-9);
        }
    }
}

#[test]
fn gradient_is_that_of_the_matrix_it_stands_for() {
    for device in devices() {
        let device = device.autodiff();
        // The matrix is widened in one stretch, and in several of which the last is shorter.
        let many =
            BlockMatrix::nearest(&random_on::<2>(&device, 8, [2048, 1300], 1.0), Q8).unwrap();
        for (matrix, rows) in [(mixed(), 1), (mixed(), 40), (many, 3)] {
            let [width, outputs] = [matrix.n_inputs(), matrix.n_outputs()];
            let x = random_on::<2>(&device, 3, [rows, width], 0.1).require_grad();
            let dy = random_on::<2>(&device, 4, [rows, outputs], 0.1);
            let weight = matrix.to_weight(&device);
            let of = |y: Tensor<2>| {
                let gradients = (y * dy.clone()).sum().backward();
                elements(x.grad(&gradients).expect("it reaches the input"))
            };
            let ours = of(block_product(x.clone(), &matrix));
            assert_close("gradient", &ours, &of(x.clone().matmul(weight)), 3e-5);
        }
    }
}

#[test]
fn rows_end_anywhere_without_blocks() {
    for (format, bytes) in [(BlockFormat::F32, 4), (BlockFormat::F16, 2), (BlockFormat::BF16, 2)] {
        for (width, outputs) in [(1, 5), (33, 3), (70, 9)] {
            let numbers: Vec<f32> =
                random(5, width * outputs, 1.0).iter().map(|&x| x as f32).collect();
            // The upper half of a number is one of format BF16, and some number of format F16.
            let content = numbers.iter().flat_map(|x| x.to_le_bytes()[4 - bytes..].to_vec());
            let band = BlockRows { format, rows: outputs };
            let matrix = BlockMatrix::new(width, vec![band], content.collect());
            for rows in [1, 6, 40] {
                let x = random_tensor::<2>(6, [rows, width], 1e-3);
                let weight = matrix.to_weight(&x.device());
                let exact = elements(x.clone().cast(DType::F64).matmul(weight.cast(DType::F64)));
                assert_close("product", &elements(block_product(x, &matrix)), &exact, 1e-5);
            }
        }
    }
}

#[test]
fn row_is_the_same_in_any_company() {
    let matrix = mixed();
    let x = random_tensor::<2>(7, [13, WIDTH], 1.0);
    let together = elements(block_product(x.clone(), &matrix));
    for row in 0..13 {
        let alone = elements(block_product(x.clone().narrow(0, row, 1), &matrix));
        assert_eq!(alone, together[row * alone.len()..][..alone.len()]);
    }
}

#[test]
fn rows_of_a_table_are_those_of_the_matrix() {
    let matrix = mixed();
    let device = Device::flex();
    let all = elements(matrix.to_weight(&device).transpose());
    let rows = elements(matrix.rows(&[35, 0, 17, 17], &device));
    for (row, at) in rows.chunks(WIDTH).zip([35, 0, 17, 17]) {
        assert_eq!(row, &all[at * WIDTH..][..WIDTH]);
    }
}

#[test]
fn further_outputs_stand_behind_the_others() {
    let (matrix, device) = (mixed(), Device::flex());
    let further: Vec<f32> = random(2, 2 * WIDTH, 1.0).iter().map(|&x| x as f32).collect();
    let longer = matrix.with_outputs(&further);
    let known = elements(matrix.to_weight(&device).transpose());
    let expected = known.into_iter().chain(further.iter().map(|&x| f64::from(x)));
    assert!(expected.eq(elements(longer.to_weight(&device).transpose())));
}

#[test]
fn nearest_blocks_are_off_by_half_a_step() {
    let weight = random_tensor::<2>(1, [64, 7], 3.0);
    for (format, steps, bytes) in
        [(QuantizedFormat::Q8_0, 127.0, 34), (QuantizedFormat::Q4_0, 8.0, 18)]
    {
        let matrix = BlockMatrix::nearest(&weight, format).unwrap();
        assert_eq!(matrix.n_bytes(), 7 * 2 * bytes);
        let near = elements(matrix.to_weight(&weight.device()));
        for (near, weight) in near.iter().zip(elements(weight.clone())) {
            // The step of four bits reaches -8 and 7: what is farthest on the other side is cut.
            let off = if steps == 8.0 { 1.0 } else { 0.5 };
            assert!((near - weight).abs() <= off * 3.0 / steps + 3e-3, "{near} {weight}");
        }
        assert!(BlockMatrix::nearest(&random_tensor(1, [33, 7], 1.0), format).is_none());
    }
}

#[test]
fn wide_rows_become_the_same_blocks_as_their_numbers() {
    let numbers: Vec<f32> = random(9, 96 * 5, 1.0).iter().map(|&x| x as f32).collect();
    let bytes = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let band = BlockRows { format: BlockFormat::F32, rows: 5 };
    let wide = BlockMatrix::new(96, vec![band], bytes);
    for format in [QuantizedFormat::Q8_0, QuantizedFormat::Q4_0] {
        let blocks = wide.quantized(format).unwrap();
        assert_eq!(blocks.blocks.bytes, format.blocks(&numbers));
        assert!(blocks.quantized(format).is_none());
    }
}

#[test]
fn what_is_no_number_stays_none() {
    for bad in [f32::NAN, f32::INFINITY] {
        let mut numbers = [1.0; 64];
        numbers[40] = bad;
        for format in [QuantizedFormat::Q8_0, QuantizedFormat::Q4_0] {
            let band = BlockRows { format: format.into(), rows: 2 };
            let matrix = BlockMatrix::new(32, vec![band], format.blocks(&numbers));
            let y = elements(block_product(random_tensor::<2>(4, [1, 32], 1.0), &matrix));
            assert!(y[0].is_finite() && y[1].is_nan(), "{bad} {y:?}");
        }
    }
}
