//! Links libpeft.so, from the folder PEFT_LIB_DIR where that is set.

fn main() {
    println!("cargo:rerun-if-env-changed=PEFT_LIB_DIR");
    if let Ok(folder) = std::env::var("PEFT_LIB_DIR") {
        println!("cargo:rustc-link-search=native={folder}");
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
    println!("cargo:rustc-link-lib=dylib=peft");
}
