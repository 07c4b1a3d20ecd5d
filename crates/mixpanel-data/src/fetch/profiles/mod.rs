//! The rules of the profile export: pages of a session on the server.
//!
//! `paging` decides which page is next and what one that arrived means; `announced` compares what arrives with what the
//! server announced, and `layout` knows which pages there are. `prior_run` continues what an earlier process began.

mod layout;
mod page;
mod paging;
mod prior_run;
mod short_pages;

pub(super) use layout::PageLayout;
pub(super) use page::{Page, PageFacts, PageRequest};
pub(super) use paging::Paging;
pub(super) use prior_run::PriorRun;
