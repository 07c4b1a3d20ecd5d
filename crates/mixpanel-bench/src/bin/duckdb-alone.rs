//! Measures DuckDB alone: `duckdb-alone [--memory-limit SIZE] [--threads N] DATABASE SQL...`
//!
//! Opens the database as any other client does, with DuckDB's default settings unless some are given, runs the
//! statements one by one and prints a line of JSON for each: `{"seconds": 1.234, "rows": 1000}`. `rows` is the number
//! of rows changed, which DuckDB reports as 0 for `CREATE TABLE AS`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a terminal program")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use duckdb::{Config, Connection};

const USAGE: &str = "usage: duckdb-alone [--memory-limit SIZE] [--threads N] DATABASE SQL...";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let mut config = Config::default();
    let database = loop {
        let arg = args.next().ok_or(USAGE)?;
        config = match arg.as_str() {
            "--memory-limit" => config.max_memory(&args.next().ok_or(USAGE)?)?,
            "--threads" => config.threads(args.next().ok_or(USAGE)?.parse()?)?,
            option if option.starts_with('-') => return Err(USAGE.into()),
            _ => break arg,
        };
    };
    let connection = Connection::open_with_flags(database, config)?;
    let mut statements = args.peekable();
    statements.peek().ok_or(USAGE)?;
    for sql in statements {
        let begun = Instant::now();
        let rows = connection.execute(&sql, [])?;
        println!("{{\"seconds\": {:.6}, \"rows\": {rows}}}", begun.elapsed().as_secs_f64());
    }
    Ok(())
}
