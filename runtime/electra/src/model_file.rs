//! A model file and the view over it, in one value that engines can share.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use electra_core::tokenizer::Tokenizer;
use electra_core::{HeadKind, Model};
use memmap2::Mmap;
use self_cell::self_cell;

use crate::default_model;
use crate::error::Error;

/// An opened model: its bytes (mapped from a file, or part of the executable) and the view that was
/// read from them.
///
/// Cloning is cheap and shares the bytes. The file must not be changed while it is mapped. To
/// replace it, rename a new file over it.
#[derive(Clone)]
pub struct ModelFile(Arc<Opened>);

struct Opened {
    path: PathBuf,
    view: View,
}

self_cell!(
    struct View {
        owner: Bytes,
        #[covariant]
        dependent: Parsed,
    }
);

struct Parsed<'m> {
    model: Model<'m>,
    tokenizer: Tokenizer<'m>,
}

enum Bytes {
    Mapped(Mmap),
    Static(&'static [u8]),
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Static(bytes) => bytes,
        }
    }

    /// Releases the pages that the check of the checksums brought into memory. A run needs the
    /// weights again, but only a few rows of the embeddings, which are a quarter of the file.
    #[cfg_attr(unix, allow(unsafe_code))]
    fn release_pages(&self) {
        match self {
            #[cfg(unix)]
            Self::Mapped(map) => {
                // SAFETY: the map is of a file and read-only, so a released page is read from that
                // file again. It has the same bytes as before, since nobody changes the file, as
                // `map` requires.
                let released = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
                // If the system ignores the advice, that costs memory and nothing else.
                drop(released);
            }
            #[cfg(not(unix))]
            Self::Mapped(_) => {}
            Self::Static(_) => {}
        }
    }
}

impl ModelFile {
    /// Maps and verifies a model file; the weights are not copied.
    ///
    /// # Errors
    /// When the file cannot be opened, is not a regular file, or is not an intact model file of
    /// this version. A pipe is refused at once, without waiting for its writer.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let map = map(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
        Self::parse(path.to_path_buf(), Bytes::Mapped(map))
    }

    /// Verifies a model file in memory; the bytes are not copied. They must begin at a multiple of
    /// four. `name` stands for the file in messages.
    ///
    /// # Errors
    /// When the bytes are not an intact model file of this version.
    pub fn from_static(name: &str, bytes: &'static [u8]) -> Result<Self, Error> {
        Self::parse(PathBuf::from(name), Bytes::Static(bytes))
    }

    /// Opens the default model: the one that `ELECTRA_MODEL` names, the one in the executable
    /// (feature `embed-model`), or `electra-small-sentiment` from the place where it was installed
    /// or checked out.
    ///
    /// # Errors
    /// When there is no default model (the error lists the paths that were searched), or as
    /// [`ModelFile::open`].
    pub fn open_default() -> Result<Self, Error> {
        if let Some(path) = named_by_environment() {
            return Self::open(path);
        }
        #[cfg(feature = "embed-model")]
        {
            Self::from_static("(model in the executable)", crate::embedded::MODEL.as_slice())
        }
        #[cfg(not(feature = "embed-model"))]
        Self::search(default_model::SENTIMENT)
    }

    /// Opens the default model for replaced-token detection: the one that `ELECTRA_MODEL` names, or
    /// `electra-small-rtd` from the place where it was installed or checked out.
    ///
    /// # Errors
    /// When there is no default model (the error lists the paths that were searched), or as
    /// [`ModelFile::open`].
    pub fn open_default_detector() -> Result<Self, Error> {
        match named_by_environment() {
            Some(path) => Self::open(path),
            None => Self::search(default_model::REPLACED_TOKENS),
        }
    }

    fn search(name: &str) -> Result<Self, Error> {
        let searched = default_model::candidates(name);
        match searched.iter().find(|path| path.is_file()) {
            Some(path) => Self::open(path),
            None => Err(Error::NoDefaultModel { searched }),
        }
    }

    fn parse(path: PathBuf, bytes: Bytes) -> Result<Self, Error> {
        let view = View::try_new(bytes, |bytes| {
            let model = Model::open(bytes.as_slice()).map_err(|source| Error::model(&path, source))?;
            let tokenizer = Tokenizer::new(*model.vocabulary());
            Ok::<_, Error>(Parsed { model, tokenizer })
        })?;
        view.borrow_owner().release_pages();
        Ok(Self(Arc::new(Opened { path, view })))
    }

    /// Asks the system to remove the file from its page cache, so that the next use of the model
    /// reads it from the disk. This replaces memory that is damaged while the file is intact. The
    /// system keeps pages that another process maps or that a run uses at the moment.
    ///
    /// Only Linux does this. A model in the executable is not changed either.
    pub fn evict(&self) {
        self.0.view.borrow_owner().release_pages();
        #[cfg(target_os = "linux")]
        if let (Bytes::Mapped(_), Ok(file)) = (self.0.view.borrow_owner(), open_regular(self.path())) {
            remove_from_page_cache(&file);
        }
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Returns the model in the file.
    #[must_use]
    pub fn model(&self) -> &Model<'_> {
        &self.0.view.borrow_dependent().model
    }

    /// Returns the model's tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer<'_> {
        &self.0.view.borrow_dependent().tokenizer
    }

    pub(crate) fn expect_head(&self, expected: HeadKind) -> Result<(), Error> {
        let found = self.model().config().head;
        if found == expected {
            return Ok(());
        }
        Err(Error::Head { path: self.path().to_path_buf(), found, expected })
    }
}

impl fmt::Debug for ModelFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelFile").field("path", &self.path()).finish_non_exhaustive()
    }
}

/// First bytes of the small text that Git LFS leaves in place of a large file that was not fetched
/// (<https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>).
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Returns the path in `ELECTRA_MODEL`. An empty value counts as unset, as for `ELECTRA_KERNELS`.
fn named_by_environment() -> Option<PathBuf> {
    std::env::var_os("ELECTRA_MODEL").filter(|path| !path.is_empty()).map(PathBuf::from)
}

#[allow(unsafe_code)]
fn map(path: &Path) -> io::Result<Mmap> {
    let file = open_regular(path)?;
    if file.metadata()?.len() == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "is empty, expected a model file"));
    }
    // SAFETY: the map is read-only and private. The docs of `ModelFile` require that nobody
    // truncates the file meanwhile, as every user of mapped files must.
    let map = unsafe { Mmap::map(&file) }?;
    if map.starts_with(LFS_POINTER) {
        let problem = "is a Git LFS pointer, expected the model file; run `git lfs pull` in its repository";
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    Ok(map)
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn remove_from_page_cache(file: &File) {
    use std::os::fd::AsRawFd;
    // SAFETY: the descriptor is open, and the call receives no pointers. It removes only pages that
    // are equal to the disk, so nothing is lost. A length of 0 stands for the whole file.
    let result = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    // This is an advice. If the system ignores it, the next check of the model finds that.
    let _ = result;
}

/// Opens a regular file and refuses everything else: opening a pipe waits for its writer, and
/// opening a device may make it move. The type is checked before the file is opened, and again
/// afterwards, since another file may have taken the path meanwhile.
fn open_regular(path: &Path) -> io::Result<File> {
    expect_regular(&fs::metadata(path)?)?;
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK);
    }
    let file = options.open(path)?;
    expect_regular(&file.metadata()?)?;
    Ok(file)
}

fn expect_regular(metadata: &fs::Metadata) -> io::Result<()> {
    let found = match metadata.file_type() {
        found if found.is_file() => return Ok(()),
        found if found.is_dir() => "a directory",
        #[cfg(unix)]
        found if std::os::unix::fs::FileTypeExt::is_fifo(&found) => "a pipe",
        #[cfg(unix)]
        found if std::os::unix::fs::FileTypeExt::is_socket(&found) => "a socket",
        _ => "a device",
    };
    let problem = format!("is {found}, expected a model file, which is a regular file");
    Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
}
