//! The configuration of an adapter among published tensors.

use std::collections::BTreeSet;

use serde::Serialize;
use tp_weights::WeightsError;

use super::published_files::{Origin, PublishedFiles};

/// What OMG-LLaVA's adapter was trained with; its files do not say so.
const ADAPTER_DROPOUT: f64 = 0.05;

/// What PEFT wants to know of an adapter beside its tensors.
#[derive(Serialize)]
pub(super) struct AdapterConfig {
    peft_type: &'static str,
    task_type: &'static str,
    pub(super) r: usize,
    lora_alpha: f64,
    lora_dropout: f64,
    bias: &'static str,
    target_modules: BTreeSet<String>,
}

impl AdapterConfig {
    /// The configuration that the tensors of an adapter have.
    pub(super) fn of(files: &PublishedFiles, lora_alpha: f64) -> Result<Self, WeightsError> {
        let mut rank: Option<(usize, &str)> = None;
        let mut target_modules = BTreeSet::new();
        for (name, Origin { checkpoint, entry }) in &files.adapter {
            let unsound = |reason| WeightsError::Unsound {
                path: files.checkpoints[*checkpoint].path().to_owned(),
                reason,
            };
            let (layer, own) = match (name.split_once(".lora_A."), &entry.shape[..]) {
                (Some((layer, _)), &[rank, _]) => (layer, rank),
                (None, &[_, rank]) => (name.split(".lora_B.").next().unwrap_or_default(), rank),
                _ => {
                    return Err(unsound(format!(
                        "{} has the shape {:?}, and an update of low rank is a matrix",
                        entry.name, entry.shape
                    )));
                }
            };
            if let Some((rank, first)) = rank.filter(|&(rank, _)| rank != own) {
                return Err(unsound(format!(
                    "{} has the rank {own}, and {first} the rank {rank}: an adapter has one",
                    entry.name
                )));
            }
            rank = rank.or(Some((own, &entry.name)));
            target_modules.extend(layer.rsplit('.').next().map(str::to_owned));
        }
        Ok(Self {
            peft_type: "LORA",
            task_type: "CAUSAL_LM",
            r: rank.map_or(1, |(rank, _)| rank),
            lora_alpha,
            lora_dropout: ADAPTER_DROPOUT,
            bias: "none",
            target_modules,
        })
    }
}
