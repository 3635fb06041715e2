//! Weights in safetensors: what opens can be read whole, and written and read again.
//!
//! An input that begins with a brace is a header and its data; the length is put before it. One
//! that begins with a weight map is an index of two sound shards.

use tp_weights::{Checkpoint, TensorEntry, write_safetensors};

use crate::scratch;

pub(crate) fn run(input: &[u8]) {
    let folder = scratch::folder("safetensors", |_| ());
    if input.starts_with(b"{\"weight_map\"") {
        return index(input);
    }
    let file = match (input.first(), input.iter().rposition(|&byte| byte == b'}')) {
        (Some(b'{'), Some(end)) => [&(end as u64 + 1).to_le_bytes()[..], input].concat(),
        _ => input.to_vec(),
    };
    let path = folder.join("model.safetensors");
    scratch::put(&path, &file);
    let Ok(checkpoint) = Checkpoint::open(&path) else { return };
    let entries: Vec<TensorEntry> = checkpoint.entries().cloned().collect();
    for entry in &entries {
        assert_eq!(
            checkpoint.read(&entry.name).expect("it was checked").len(),
            entry.n_bytes().expect("it was checked")
        );
    }
    let written = folder.join("written");
    std::fs::create_dir_all(&written).expect("folders can be made");
    if write_safetensors(&written, &entries, u64::MAX, |entry| checkpoint.read(&entry.name))
        .is_err()
    {
        return; // e.g. without a tensor
    }
    let again = Checkpoint::open(&written).expect("what we write we read");
    assert_eq!(again.entries().count(), entries.len());
    for entry in &entries {
        assert_eq!(again.entry(&entry.name).expect("it was written"), entry);
        assert_eq!(
            again.read(&entry.name).expect("it was written"),
            checkpoint.read(&entry.name).expect("it was checked")
        );
    }
}

fn index(input: &[u8]) {
    let folder = scratch::folder("weight_index", |folder| {
        for (name, tensor) in [("a", "one"), ("b", "two")] {
            let header = format!(
                "{{\"{tensor}\":{{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}}}"
            );
            let file =
                [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[7, 8]].concat();
            scratch::put(&folder.join(format!("{name}.safetensors")), &file);
        }
    });
    let path = folder.join("model.safetensors.index.json");
    scratch::put(&path, input);
    if let Ok(checkpoint) = Checkpoint::open(&path) {
        checkpoint.entries().for_each(|entry| {
            assert_eq!(checkpoint.read(&entry.name).expect("the shards are sound"), [7, 8])
        });
    }
}
