//! Compiles the C++ of `src/distributed` against the libtorch that setup installed.

use std::env;
use std::path::{Path, PathBuf};

const SOURCE: &str = "src/distributed/group.cpp";
/// Folder of the gloo declarations that libtorch's headers include but do not ship.
const STAND_INS: &str = "src/distributed/stand-ins";
/// Headers that libtorch's header of the NCCL process groups includes, with their folders in the
/// wheels that `setup --cuda` adds.
const CUDA_HEADERS: [(&str, &str); 7] = [
    ("nvidia/nccl/include", "nccl.h"),
    ("nvidia/cu13/include", "cuda_runtime_api.h"),
    ("nvidia/cu13/include", "cublas_v2.h"),
    ("nvidia/cu13/include", "cusparse.h"),
    ("nvidia/cu13/include", "cusolver_common.h"),
    ("nvidia/cu13/include", "crt/host_config.h"),
    ("nvidia/cu13/include", "nv/target"),
];

fn main() -> Result<(), String> {
    for changed in [SOURCE, STAND_INS] {
        println!("cargo::rerun-if-changed={changed}");
    }
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let torch = env::var_os("LIBTORCH").map(PathBuf::from);
    let torch =
        torch.ok_or("LIBTORCH is not set; setup prints what to export: eval \"$(tools/train/setup)\"")?;
    link_path(&torch);
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").warnings(false).file(SOURCE).include(STAND_INS);
    build.include(torch.join("include")).include(torch.join("include/torch/csrc/api/include"));
    build.define("USE_C10D_GLOO", None);
    if let Some(wheels) = torch.parent().filter(|wheels| has_nccl(wheels)) {
        build.define("USE_C10D_NCCL", None);
        for (folder, _) in CUDA_HEADERS {
            build.include(wheels.join(folder));
        }
        for library in ["torch_cuda", "c10_cuda"] {
            println!("cargo::rustc-link-lib={library}");
        }
    }
    build.try_compile("electra_distributed").map_err(|error| error.to_string())
}

/// Lets the executable find libtorch, and libtorch find its own dependencies, without
/// `LD_LIBRARY_PATH`. `--disable-new-dtags` writes the older RPATH entry, because the loader
/// applies that one to the dependencies of a library as well.
fn link_path(torch: &Path) {
    let wheels = torch.parent().map(|wheels| wheels.join("nvidia"));
    let folders = wheels.and_then(|nvidia| nvidia.read_dir().ok()).into_iter().flatten().flatten();
    let libraries = folders.map(|folder| folder.path().join("lib")).filter(|folder| folder.is_dir());
    println!("cargo::rustc-link-arg=-Wl,--disable-new-dtags");
    for folder in std::iter::once(torch.join("lib")).chain(libraries) {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", folder.display());
    }
}

fn has_nccl(wheels: &Path) -> bool {
    CUDA_HEADERS.iter().all(|(folder, header)| wheels.join(folder).join(header).exists())
}
