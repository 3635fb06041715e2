#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod api;
mod app;
mod body_reader;
mod config;
mod engine;
mod error;
mod memory;
mod metrics;
mod page;
mod problem;
mod server;
mod subject;
mod timed_io;
mod upload;

pub use api::openapi;
pub use config::ServeConfig;
pub use error::ServeError;
pub use server::{ServedModel, Server, ServerHandle, listen};
