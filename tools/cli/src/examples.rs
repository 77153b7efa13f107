//! Examples in the help and the manual page of each command. `tests/examples.rs` runs each line.

pub(crate) const ELECTRA: &str = "\
Examples:
  electra classify \"ELECTRA is surprisingly fast and accurate.\"
  electra inspect

Environment:
  ELECTRA_MODEL    model file to use where --model is not given
  ELECTRA_KERNELS  kernels to use instead of the fastest, by a name that 'electra inspect' shows
  ELECTRA_PUBLIC_KEY  key that must have signed a model that is served or installed by an update
  NO_COLOR         no colours on a terminal

Exit codes:
  0  done
  1  something failed at run time
  2  wrong usage";

pub(crate) const CLASSIFY: &str = "\
Examples:
  electra classify \"The battery lasts for days.\"
  electra classify --input reviews.csv --column review --json
  tail -n +2 reviews.csv | electra classify --input - --top-k 2

Languages:
  The sentiment model that comes with electra knows English only. Labels for texts in other
  languages are meaningless. 'electra inspect' shows the language of a model that was packed with
  --language.";

pub(crate) const EXPLAIN: &str = "\
Examples:
  electra explain \"The plot is thin, but the acting is superb.\"
  electra explain \"The plot is thin, but the acting is superb.\" --label NEGATIVE --svg words.svg
  head -1 reviews.csv | electra explain --input - --samples 32 --json

Meaning:
  A contribution is the share of a word in the difference between the score of the text and that of
  the empty text. It is computed from texts in which other words are left out. It explains what the
  model does, not what is true.";

pub(crate) const DETECT: &str = "\
Examples:
  electra detect \"He was born in of 1952.\"
  electra detect --input reviews.csv --column review --json

Languages:
  The model that comes with electra knows English only. Its results for other languages are
  meaningless.";

pub(crate) const EVALUATE: &str = "\
Examples:
  electra evaluate --input labelled.tsv
  electra evaluate --input ratings.csv --delimiter ';' --label-column rating --label-as index --json";

pub(crate) const TOKENIZE: &str = "\
Examples:
  electra tokenize \"naïve cafés\"
  electra tokenize --model model.electra --json \"naïve cafés\"";

pub(crate) const INSPECT: &str = "\
Examples:
  electra inspect
  electra inspect model.electra --json";

pub(crate) const SELF_TEST: &str = "\
Examples:
  electra self-test model.electra
  electra self-test model.electra --engine direct --json";

#[cfg(feature = "sign")]
pub(crate) const SIGN: &str = "\
Examples:
  electra sign model.electra --secret-key minisign.key --password-file password.txt";

pub(crate) const VERIFY: &str = "\
Examples:
  electra verify in-use.electra --public-key minisign.pub";

pub(crate) const UPDATE: &str = "\
Examples:
  electra update new.electra --model in-use.electra --public-key minisign.pub
  electra update --rollback --model in-use.electra

A model in use is never half written: the new file is checked, and then one renaming replaces the
old one. A running service takes the new model after SIGHUP, for example by 'systemctl reload
electra'.";

pub(crate) const FOOTPRINT: &str = "\
Examples:
  electra footprint --max-tokens 128 --svg arena.svg
  electra footprint --target cortex-m7 --tokens 32 --flash 16M --ram 512K
  electra footprint --target raspberry-pi-4 --model model.electra --json

Targets:
  A target has other names, too: its processors (cortex-m4, cortex-m7, cortex-m33, cortex-m55,
  cortex-m85, cortex-a7, cortex-a53, cortex-a72, cortex-a76), its boards (raspberry-pi-2 to
  raspberry-pi-5, raspberry-pi-zero-2-w), Debian's (arm64, armhf, amd64) and Rust's. armhf stands
  for Armv7: a Raspberry Pi 1 and a Pi Zero are Armv6, for which there is no package.";

pub(crate) const PROFILE: &str = "\
Examples:
  electra profile \"An honest film.\"
  electra profile \"An honest film.\" --tokens 32 --runs 20 --json";

/// Returns the examples of `electra serve` with the doors of this build.
#[cfg(unix)]
pub(crate) fn serve() -> String {
    let http = if cfg!(feature = "http") { "\n  electra serve --http 127.0.0.1:8080" } else { "" };
    let mqtt = if cfg!(feature = "mqtt") {
        "\n  electra serve --mqtt mqtt://127.0.0.1 --subscribe in/text --publish out/sentiment"
    } else {
        ""
    };
    format!(
        "\
Examples:
  electra serve --socket electra.sock
  electra serve --socket electra.sock --json-requests --idle 0{http}{mqtt}"
    )
}

#[cfg(all(unix, feature = "http"))]
pub(crate) const HEALTH: &str = "\
Examples:
  electra health
  electra health 127.0.0.1:7071";

#[cfg(feature = "pack")]
pub(crate) const PACK: &str = "\
Examples:
  electra pack my-electra/ -o model.electra
  electra pack my-electra/ -o german.electra --name german-reviews --language de
  electra pack my-electra.onnx -o from-onnx.electra --vocab my-electra/vocab.txt";
