//! Rules of the profile export, which is paged within a session on the server.
//!
//! `paging` picks the next page and interprets each page that arrives, `announced` compares the pages with what the
//! server announced, and `layout` tracks which pages exist. `prior_run` resumes a run of an earlier process.

mod layout;
mod page;
mod paging;
mod prior_run;
mod short_pages;

pub(super) use layout::PageLayout;
pub(super) use page::{Page, PageFacts};
pub(super) use paging::Paging;
pub(super) use prior_run::PriorRun;
