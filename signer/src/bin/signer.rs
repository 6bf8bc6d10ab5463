//! The `hufu-signer` program.

fn main() -> std::process::ExitCode {
    hufu_signer::cli::run(std::env::args_os())
}
