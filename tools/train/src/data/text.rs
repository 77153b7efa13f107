//! Text files, compressed or not.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::error::{Error, Result};

/// Opens a file for reading by lines. A file whose name ends in `.zst` is decompressed.
pub fn open_text(file: &Path) -> Result<Box<dyn BufRead + Send>> {
    let opened = File::open(file).map_err(Error::read(file))?;
    if opened.metadata().map_err(Error::read(file))?.is_dir() {
        return Err(Error::field(file, "path", "a folder", "a file"));
    }
    if file.extension().is_some_and(|extension| extension == "zst") {
        let decoder = zstd::Decoder::new(opened).map_err(Error::read(file))?;
        return Ok(Box::new(BufReader::with_capacity(1 << 20, decoder)));
    }
    Ok(Box::new(BufReader::with_capacity(1 << 20, opened)))
}
