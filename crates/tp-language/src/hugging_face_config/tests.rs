//! Configurations as transformers reads them.

use serde_json::{Value, json};

use crate::{DecoderConfig, LanguageError, RopeScaling};

fn read(changes: &Value) -> Result<DecoderConfig, LanguageError> {
    let mut config = json!({
        "model_type": "llama", "vocab_size": 100, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "hidden_act": "silu", "torch_dtype": "bfloat16"
    });
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    std::fs::write(&path, config.to_string()).unwrap();
    DecoderConfig::from_hugging_face(&path)
}

#[test]
fn families_differ_in_bias_and_norm() {
    assert_eq!(read(&json!({})).unwrap(), DecoderConfig::new(100, 64, 128, 2, 4, 2));
    let qwen2 = read(&json!({ "model_type": "qwen2", "tie_word_embeddings": true })).unwrap();
    assert!(qwen2.qkv_bias && qwen2.tie_word_embeddings && !qwen2.qk_norm);
    let qwen3 = read(&json!({ "model_type": "qwen3", "head_dim": 32 })).unwrap();
    assert!(qwen3.qk_norm && !qwen3.qkv_bias);
    assert_eq!((qwen3.d_head(), qwen3.d_queries(), qwen3.d_qkv()), (32, 128, 256));
    assert_eq!(read(&json!({ "model_type": "qwen3" })).unwrap().d_head(), 128);
    let biased = read(&json!({ "attention_bias": true, "mlp_bias": true })).unwrap();
    assert!(biased.qkv_bias && biased.has_output_bias() && biased.has_mlp_bias());
}

/// As transformers 5.24 sets the windows of these configurations.
#[test]
fn windows_are_those_of_the_family() {
    let all = |window| (Some(window), None);
    for (changes, expected) in [
        (json!({ "model_type": "mistral" }), all(4096)),
        (json!({ "model_type": "mistral", "sliding_window": null }), (None, None)),
        (json!({ "model_type": "mistral", "sliding_window": 8 }), all(8)),
        (
            json!({ "model_type": "mistral", "sliding_window": 8, "layer_types": ["full_attention", "sliding_attention"] }),
            (Some(8), Some(vec![1])),
        ),
        (json!({ "model_type": "qwen2", "sliding_window": 8 }), (None, None)),
        (
            json!({ "model_type": "qwen2", "sliding_window": 8, "use_sliding_window": true }),
            (None, None), // from layer 28 on
        ),
        (
            json!({ "model_type": "qwen3", "sliding_window": 8, "use_sliding_window": true, "max_window_layers": 1 }),
            (Some(8), Some(vec![1])),
        ),
        (
            json!({ "model_type": "qwen3", "sliding_window": 8, "use_sliding_window": true, "max_window_layers": 0 }),
            all(8),
        ),
        (
            json!({ "sliding_window": null, "layer_types": ["full_attention", "full_attention"] }),
            (None, None),
        ),
    ] {
        let config = read(&changes).unwrap();
        assert_eq!((config.sliding_window, config.window_layers), expected, "{changes}");
    }
}

#[test]
fn scaling_is_read_from_either_place() {
    let llama3 = json!({
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64
    });
    let expected = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 64,
    };
    assert_eq!(read(&json!({ "rope_scaling": llama3 })).unwrap().rope_scaling, Some(expected));
    let mut nested = llama3;
    nested["rope_theta"] = json!(5e5);
    let config = read(&json!({ "rope_parameters": nested })).unwrap();
    assert_eq!((config.rope_scaling, config.rope_theta), (Some(expected), 5e5));
    let stale = json!({ "rope_theta": 1e4, "rope_parameters": { "rope_theta": 5e5, "rope_type": "default" } });
    assert_eq!(read(&stale).unwrap().rope_theta, 5e5);
    let older = json!({ "rope_parameters": { "rope_theta": 5e5 }, "rope_scaling": { "type": "linear", "factor": 2.0 } });
    let older = read(&older).unwrap();
    assert_eq!(older.rope_scaling, Some(RopeScaling::Linear { factor: 2.0 }));
    assert_eq!(older.rope_theta, 1e4);
    assert_eq!(
        read(&json!({ "rope_scaling": { "type": "dynamic", "factor": 2.0 } }))
            .unwrap()
            .rope_scaling,
        None
    );
}

#[test]
fn what_the_decoder_lacks_is_named() {
    for (changes, named) in [
        (json!({ "model_type": "gpt2" }), "model_type gpt2"),
        (json!({ "hidden_act": "gelu" }), "hidden_act gelu"),
        (json!({ "rope_scaling": { "rope_type": "longrope" } }), "rope_scaling longrope"),
        (
            json!({ "rope_scaling": { "rope_type": "linear", "factor": 2, "mrope_section": [1] } }),
            "mrope_section",
        ),
        (
            json!({ "rope_parameters": { "rope_theta": 1e4, "partial_rotary_factor": 0.5 } }),
            "partial_rotary_factor",
        ),
        (json!({ "rope_scaling": { "rope_type": "linear" } }), "lacks factor"),
        (json!({ "use_sliding_window": true }), "sliding"),
        (json!({ "sliding_window": 8 }), "sliding_window 8"),
        (json!({ "model_type": "mistral", "sliding_window": 0 }), "sliding_window"),
        (
            json!({ "model_type": "qwen3", "layer_types": ["sliding_attention", "full_attention"] }),
            "layer_types",
        ),
        (
            json!({ "model_type": "qwen2", "layer_types": ["linear_attention", "full_attention"] }),
            "linear_attention",
        ),
        (json!({ "model_type": "mistral", "attention_bias": true }), "attention_bias"),
        (json!({ "model_type": "qwen2", "mlp_bias": true }), "mlp_bias"),
        (json!({ "attn_logit_softcapping": 50.0 }), "attn_logit_softcapping"),
        (json!({ "query_pre_attn_scalar": 16 }), "query_pre_attn_scalar"),
        (json!({ "attention_multiplier": 0.5 }), "attention_multiplier"),
        (json!({ "embedding_multiplier": 12.0 }), "embedding_multiplier"),
        (json!({ "logits_scaling": 8.0 }), "logits_scaling"),
        (json!({ "residual_multiplier": 0.2 }), "residual_multiplier"),
        (json!({ "partial_rotary_factor": 0.5 }), "partial_rotary_factor"),
        (json!({ "quantization_config": { "bits": 4 } }), "quantization_config"),
        (json!({ "hidden_activation": "gelu" }), "hidden_activation"),
        (json!({ "a_key_of_tomorrow": true }), "a_key_of_tomorrow"),
        (json!({ "num_key_value_heads": 3 }), "num_key_value_heads"),
        (json!({ "vocab_size": -1 }), "config.json"),
    ] {
        let error = read(&changes).unwrap_err().to_string();
        assert!(error.contains(named), "{named}: {error}");
    }
}

#[test]
fn what_is_switched_off_or_known_to_change_nothing_is_passed_over() {
    let keys = json!({
        "attn_logit_softcapping": null, "embedding_multiplier": 1.0, "a_key_of_tomorrow": false,
        "rope_interleaved": false, "use_mrope": false, "max_window_layers": 28, "pretraining_tp": 2,
        "is_llama_config": true, "transformers.js_config": { "dtype": "q4" }, "_name_or_path": "x",
        "use_sliding_window": false, "hidden_act": "swish", "initializer_range": 0.02
    });
    assert_eq!(read(&keys).unwrap(), DecoderConfig::new(100, 64, 128, 2, 4, 2));
}
