//! Finds `libpeft.so`: in the folder `PEFT_LIB_DIR`, or else by pkg-config.
//!
//! Programs that depend on this crate get the folder as `DEP_PEFT_LIB_DIR` in
//! their own build scripts, for an rpath.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const HELP: &str = "\
set PEFT_LIB_DIR to the folder that holds libpeft.so (bazel-bin/peft_c after \
`./bazelw build //peft_c:libpeft.so`), or PKG_CONFIG_PATH to that of its \
peft.pc";

fn main() {
    println!("cargo:rerun-if-env-changed=PEFT_LIB_DIR");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    let folder = match env::var_os("PEFT_LIB_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => folder_by_pkg_config(),
    };
    let library = folder.join("libpeft.so");
    assert!(library.exists(), "no {}: {HELP}", library.display());
    println!("cargo:rerun-if-changed={}", library.display());
    println!("cargo:lib_dir={}", folder.display());
    println!("cargo:rustc-link-search=native={}", folder.display());
    println!("cargo:rustc-link-lib=dylib=peft");
    lend_to_cargo(&library);
}

fn folder_by_pkg_config() -> PathBuf {
    let output = Command::new("pkg-config")
        .args(["--variable=libdir", "peft"])
        .output()
        .unwrap_or_else(|error| {
            panic!("no PEFT_LIB_DIR, no pkg-config ({error}): {HELP}")
        });
    let found = output.status.success();
    assert!(found, "no PEFT_LIB_DIR, no peft.pc: {HELP}");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// `cargo run` and `cargo test` look for shared libraries in the folders of
/// build scripts only, so there is a link in this one's.
fn lend_to_cargo(library: &Path) {
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let link = folder.join("libpeft.so");
    let _ = std::fs::remove_file(&link);
    #[cfg(unix)]
    std::os::unix::fs::symlink(library.canonicalize().unwrap(), &link)
        .unwrap_or_else(|error| panic!("{}: {error}", link.display()));
    println!("cargo:rustc-link-search=native={}", folder.display());
}
