use super::*;
use crate::testing::{assert_close, devices, elements, random_on, random_tensor};

#[test]
fn nearest_matrix_is_off_by_half_a_step() {
    let weight = random_tensor::<2>(1, [50, 7], 3.0);
    let matrix = Int8Matrix::nearest(&weight);
    let largest = elements(weight.clone().abs().max_dim(0));
    let (near, weight) = (elements(matrix.to_weight()), elements(weight));
    for (at, (near, weight)) in near.iter().zip(&weight).enumerate() {
        assert!((near - weight).abs() <= largest[at % 7] / 127.0 / 2.0 + 1e-6);
    }
    assert_eq!(matrix.n_bytes(), 50 * 7 + 4 * 7);
}

#[test]
fn product_is_that_of_the_matrix_it_stands_for() {
    let sizes = [(1, 1000, 300), (5, 33, 3), (17, 64, 130), (40, 7, 1)];
    for (device, (rows, width, out)) in
        devices().iter().flat_map(|device| sizes.map(|size| (device, size)))
    {
        let matrix = Int8Matrix::nearest(&random_on(device, 2, [width, out], 1.0));
        let x = random_on::<2>(device, 3, [rows, width], 1.0);
        let expected = elements(x.clone().matmul(matrix.to_weight()));
        assert_close("fast path", &elements(int8_product(x.clone(), &matrix)), &expected, 1e-5);
        let exact = int8_product(x.cast(burn::tensor::DType::F64), &matrix);
        assert_close("reference", &elements(exact), &expected, 1e-5);
    }
}

#[test]
fn zero_column_stays_zero() {
    let matrix = Int8Matrix::nearest(&Tensor::zeros([4, 2], &burn::tensor::Device::flex()));
    assert_eq!(elements(int8_product(random_tensor::<3>(4, [2, 3, 4], 1.0), &matrix)), [0.0; 12]);
}
