//! A dev-dependency of every crate that uses Burn, for its manifest alone: it fixes the features of
//! Burn's dependencies.
#![forbid(unsafe_code)]
