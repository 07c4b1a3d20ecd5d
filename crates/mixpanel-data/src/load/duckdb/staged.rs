//! The staged files of a load: their footers, and the SQL that reads them.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::file::metadata::ParquetMetaDataReader;

use crate::dataset::Dataset;
use crate::error::{Error, ErrorKind, Result};
use crate::parse::{CATALOG_KEY, Catalog};
use crate::row_sum::{RowSum, SUM_KEY};
use crate::store::sql_text::{as_pattern, literal};
use crate::text::counted;

/// A staged file, as described by its footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StagedFile {
    path: PathBuf,
    pub(super) rows: u64,
    /// The uncompressed size of its rows, in bytes.
    pub(super) bytes: u64,
    /// The sum of its rows; `None` in files of earlier versions, which did not record it.
    recorded: Option<RowSum>,
}

impl StagedFile {
    /// Reads the footer of a staged file.
    ///
    /// # Errors
    /// `Storage` if it cannot be read as a Parquet file.
    pub(super) fn look(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| unreadable(path).with_source(error))?;
        let metadata = ParquetMetaDataReader::new()
            .parse_and_finish(&file)
            .map_err(|error| unreadable(path).with_source(error))?;
        // The sizes in a damaged footer can be arbitrary.
        let bytes = metadata.row_groups().iter().map(|group| group.total_byte_size()).fold(0, i64::saturating_add);
        let facts = metadata.file_metadata();
        let rows = u64::try_from(facts.num_rows()).map_err(|_| unreadable(path))?;
        let recorded = facts.key_value_metadata().and_then(|pairs| pairs.iter().find(|pair| pair.key == SUM_KEY));
        Ok(Self {
            path: path.to_owned(),
            rows,
            bytes: u64::try_from(bytes).unwrap_or_default(),
            recorded: recorded.and_then(|pair| RowSum::read(rows, pair.value.as_ref()?)),
        })
    }

    /// Returns the sum of the page's rows as received. If it is not recorded, computes it from the page, without
    /// DuckDB.
    ///
    /// # Errors
    /// `Storage` if it cannot be read.
    fn page_sum(&self, dataset: &Dataset) -> Result<RowSum> {
        self.recorded.map_or_else(|| RowSum::of_file(dataset, &self.path), Ok)
    }

    /// Returns whether the page still has the rows that were received. Without a recorded sum, only checks that it can
    /// be read.
    fn is_intact(&self, dataset: &Dataset) -> bool {
        RowSum::of_file(dataset, &self.path).is_ok_and(|found| self.recorded.is_none_or(|recorded| recorded == found))
    }
}

/// Returns the sum of the rows of all pages.
///
/// # Errors
/// `Storage`, with the page that cannot be read.
pub(super) fn sum_of_pages(dataset: &Dataset, pages: &[PathBuf]) -> Result<RowSum> {
    pages.iter().try_fold(RowSum::default(), |sum, page| Ok(sum.plus(StagedFile::look(page)?.page_sum(dataset)?)))
}

/// Returns the catalog of the properties of all pages, as recorded when they were received. `None` if one of the pages
/// is from a version that did not record it.
///
/// # Errors
/// `Storage`, with the page that cannot be read.
pub(crate) fn catalog_of_pages(pages: &[PathBuf]) -> Result<Option<Catalog>> {
    let mut sum = Catalog::default();
    for page in pages {
        let file = File::open(page).map_err(|error| unreadable(page).with_source(error))?;
        let metadata = ParquetMetaDataReader::new()
            .parse_and_finish(&file)
            .map_err(|error| unreadable(page).with_source(error))?;
        let facts = metadata.file_metadata();
        let pair = facts.key_value_metadata().and_then(|pairs| pairs.iter().find(|pair| pair.key == CATALOG_KEY));
        let recorded = pair.and_then(|pair| Catalog::read(pair.value.as_ref()?));
        match recorded.filter(|recorded| u64::try_from(facts.num_rows()) == Ok(recorded.profiles)) {
            Some(recorded) => sum.add(&recorded),
            None => return Ok(None),
        }
    }
    Ok(Some(sum))
}

/// Returns the sum of rejects; `None` if one of the files is from an earlier version.
///
/// # Errors
/// `Storage`, with the file that cannot be read.
pub(super) fn sum_of_rejects(files: &[PathBuf]) -> Result<Option<RowSum>> {
    let mut total = Some(RowSum::default());
    for file in files {
        let recorded = StagedFile::look(file)?.recorded;
        total = total.zip(recorded).map(|(total, recorded)| total.plus(recorded));
    }
    Ok(total)
}

/// Returns the error for a load whose rows differ from the staged ones. It names a page that has changed since it was
/// staged; if there is none, the error is `Internal`.
pub(super) fn differs(dataset: &Dataset, pages: &[PathBuf], what: &str, expected: RowSum, found: RowSum) -> Error {
    let damaged = pages.iter().find(|page| !StagedFile::look(page).is_ok_and(|file| file.is_intact(dataset)));
    match damaged {
        Some(page) => unreadable(page),
        None if expected.rows != found.rows => {
            let rows = counted(found.rows, "row");
            Error::internal(format!("{what} has {rows}, but {} were staged", expected.rows))
        }
        None => Error::internal(format!(
            "{what} has {}, as many as were staged, but with different contents",
            counted(found.rows, "row")
        )),
    }
}

pub(super) fn unreadable(path: &Path) -> Error {
    Error::new(ErrorKind::Storage, format!("the staged file `{}` cannot be read", path.display())).with_path(path)
}

/// Columns that DuckDB can add to the rows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    Nothing,
    /// `filename` and `file_row_number`.
    Place,
    /// `file_row_number`.
    RowNumber,
}

/// Returns the SQL that reads exactly these files and, apart from `extra`, only their own columns.
///
/// By default, DuckDB interprets `name=value` in a path as a column, and `*`, `?` and `[` as patterns. The files are in
/// a directory next to the user's database, whose path may contain anything.
///
/// # Errors
/// `InvalidInput` for a path that is not UTF-8.
pub(super) fn read_parquet(files: &[PathBuf], extra: Extra) -> Result<String> {
    let mut list = String::new();
    for file in files {
        let absolute = std::path::absolute(file).map_err(|error| Error::io("find", file, error))?;
        let Some(text) = absolute.to_str() else {
            return Err(Error::invalid(format!("the path `{}` is not UTF-8", file.display())).with_path(file));
        };
        write!(list, "{},", literal(&as_pattern(text))).expect("a string can be written to");
    }
    let (place, number) = (extra == Extra::Place, extra != Extra::Nothing);
    Ok(format!(
        "read_parquet([{list}], hive_partitioning = false, hive_types_autocast = false, union_by_name = false,
             binary_as_string = false, filename = {place}, file_row_number = {number})"
    ))
}
