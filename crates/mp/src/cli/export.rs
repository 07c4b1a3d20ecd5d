//! The arguments of `mp export`, and those of `mp query sql` that write to a file.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::fetch::parse_memory;

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The table or view
    pub(crate) table: String,

    /// The file to write; `-` is standard output
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) options: FileArgs,
}

/// How a file is written.
#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// Format of the file [default: from the ending of its name]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(crate) to_format: Option<FileFormat>,

    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,

    /// Memory budget for the whole process, from 200MB; what needs more spills to disk [default: 400MB for Parquet, else
    /// most of the machine's memory]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub(crate) memory: Option<u64>,
}

/// The format of an exported file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileFormat {
    /// Apache Parquet, compressed with zstd
    Parquet,
    /// Comma-separated values with a header
    Csv,
    /// One JSON object per line
    Jsonl,
    /// A JSON array
    Json,
}
