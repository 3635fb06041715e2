//! A GGUF file: what opens has the bytes that it says; a model of it has a tokenizer whose ids the
//! embedding table has, and reads them.

use burn::tensor::Device;
use tp_language::load_gguf;
use tp_weights::GgufFile;

use crate::scratch;

pub(crate) fn run(input: &[u8]) {
    let path = scratch::folder("gguf", |_| ()).join("model.gguf");
    scratch::put(&path, input);
    let Ok(file) = GgufFile::open(&path) else { return };
    let mut total = 0;
    for tensor in file.tensors() {
        total += tensor.n_bytes;
        let bytes = file.read(&tensor.name).expect("an open file has its tensors");
        assert_eq!(bytes.len(), tensor.n_bytes);
    }
    assert!(total <= input.len(), "{total} of {} bytes", input.len());

    let Ok(model) = load_gguf(&path, &Device::flex()) else { return };
    let ids = model.tokenizer.encode_text("a horse");
    let rows = model.decoder.config().vocab_size;
    assert!(ids.iter().all(|&id| (id as usize) < rows), "{ids:?} of {rows}");
    if !ids.is_empty() {
        let states = model.decoder.forward(model.decoder.embed_rows(&[ids]), None, None);
        assert_eq!(model.decoder.logits(states, None).dims()[2], rows);
    }
}
