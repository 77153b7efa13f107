//! Arguments of the commands about signatures and updates.

use std::path::PathBuf;

use clap::Args;

#[cfg(feature = "sign")]
#[derive(Args)]
pub(crate) struct SignArgs {
    /// Model file to sign
    pub model: PathBuf,
    /// Secret key, a file of minisign; `minisign -G` makes one
    #[arg(long, value_name = "FILE")]
    pub secret_key: PathBuf,
    /// File with the password of the secret key, in its first line [default: ask on the terminal]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Signature to write [default: the path of the model with .minisig added]
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// Trusted comment, which is signed, too [default: time, name, version and fingerprint of the
    /// model]
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// Model file to verify
    pub model: PathBuf,
    /// Public key, a file of minisign [default: the key that $ELECTRA_PUBLIC_KEY names]
    #[arg(long, value_name = "FILE")]
    pub public_key: Option<PathBuf>,
    /// Signature [default: the path of the model with .minisig added]
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct UpdateArgs {
    /// New model file
    #[arg(value_name = "NEW", required_unless_present = "rollback", conflicts_with = "rollback")]
    pub new: Option<PathBuf>,
    /// Return to the model that the last update replaced
    #[arg(long)]
    pub rollback: bool,
    /// Model file to replace [default: $ELECTRA_MODEL, else the sentiment model]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Refuse a model that has no signature by this key [default: the key that $ELECTRA_PUBLIC_KEY
    /// names, if any]
    #[arg(long, value_name = "FILE")]
    pub public_key: Option<PathBuf>,
    /// Signature of the new model [default: the path of the new model with .minisig added]
    #[arg(long, value_name = "FILE", conflicts_with = "rollback")]
    pub signature: Option<PathBuf>,
    /// Accept an older version of the model
    #[arg(long)]
    pub allow_downgrade: bool,
    /// Accept a model with other labels
    #[arg(long)]
    pub allow_other_labels: bool,
}
