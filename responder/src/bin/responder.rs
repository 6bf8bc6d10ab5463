//! `hufu-responder`: see `hufu_responder::cli`.

fn main() -> std::process::ExitCode {
    hufu_responder::cli::run(std::env::args_os())
}
