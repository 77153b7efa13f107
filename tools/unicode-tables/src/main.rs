//! Writes electra-core's `tokenizer/tables.rs` to standard output, and the size of its data to
//! standard error:
//!
//! ```sh
//! cargo run -p unicode-tables > runtime/core/src/tokenizer/tables.rs
//! ```
#![forbid(unsafe_code)]

mod derive;
mod emit;
mod layout;

fn main() {
    let tables = layout::Tables::derive();
    eprintln!("{} bytes of tables", tables.bytes());
    print!("{}", emit::source(&tables));
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_tables_are_the_ones_derived_here() {
        let committed = include_str!("../../../runtime/core/src/tokenizer/tables.rs");
        assert!(
            committed == super::emit::source(&super::layout::Tables::derive()),
            "tables.rs differs from the output of this crate: generate it again"
        );
    }
}
