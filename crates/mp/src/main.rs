//! The program `mp`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(mp::run(std::env::args_os()))
}
