//! Decoder language model, tokenizer, adapters, cache and sampling
