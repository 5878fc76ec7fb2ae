//! Exit code only: everything else is the library's.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    relpack::cli::run()
}
