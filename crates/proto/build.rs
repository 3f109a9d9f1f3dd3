//! Compiles `proto/` with protox, so that no protoc is needed. `bytes` fields become `Bytes`: no copy on the data path.
//! Maps become ordered ones: the same message has the same bytes in every process, so that it can be digested.

use std::{env, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    let mut files = Vec::new();
    for area in fs::read_dir(root.join("strongroom"))? {
        for file in fs::read_dir(area?.path().join("v1"))? {
            files.push(file?.path());
        }
    }
    files.sort();
    println!("cargo:rerun-if-changed={}", root.display());
    let descriptors = protox::compile(&files, [&root])?;
    let descriptor_path = PathBuf::from(env::var("OUT_DIR")?).join("strongroom.bin");
    fs::write(&descriptor_path, prost_encode(&descriptors))?;
    tonic_prost_build::configure().bytes(".").btree_map(".").compile_fds(descriptors)?;
    Ok(())
}

fn prost_encode(descriptors: &impl prost::Message) -> Vec<u8> {
    descriptors.encode_to_vec()
}
