//! `hufu-loader`: import, pack, publish, follow, inspect, verify.

fn main() -> std::process::ExitCode {
    hufu_loader::cli::run(std::env::args_os())
}
