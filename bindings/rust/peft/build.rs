//! Lets this crate's tests and examples find the library when they are run
//! without cargo. Programs that depend on the crate may do the same.

fn main() {
    if let Ok(folder) = std::env::var("DEP_PEFT_LIB_DIR") {
        println!("cargo:rustc-link-arg-tests=-Wl,-rpath,{folder}");
        println!("cargo:rustc-link-arg-examples=-Wl,-rpath,{folder}");
    }
}
