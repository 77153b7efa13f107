//! The committed header is the one that cbindgen makes of this crate.

use std::path::Path;
use std::{env, fs};

const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_header_is_up_to_date() {
    let package = Path::new(PACKAGE);
    let config = cbindgen::Config::from_file(package.join("cbindgen.toml")).expect("settings");
    let bindings = cbindgen::Builder::new().with_crate(package).with_config(config).generate();
    let mut found = Vec::new();
    bindings.expect("a header").write(&mut found);
    let found = String::from_utf8(found).expect("UTF-8");
    let header = package.join("include/electra.h");
    if env::var_os("UPDATE_HEADER").is_some() {
        fs::write(&header, &found).expect("written");
    }
    let committed = fs::read_to_string(&header).unwrap_or_default();
    assert!(
        committed == found,
        "include/electra.h is not that of this crate; UPDATE_HEADER=1 cargo test -p electra-capi writes it"
    );
}
