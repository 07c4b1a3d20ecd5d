//! Gzip compression.

use std::io::Write as _;

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use http::HeaderValue;
use http::header::CONTENT_ENCODING;

use crate::config::{Compression, SimulatorConfig};
use crate::message::{Reply, Request};

pub(crate) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Level::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("writing to a vector cannot fail")
}

/// Compresses a response if the configuration enables it and the client accepts gzip.
pub(crate) fn compress(config: &SimulatorConfig, request: &Request, reply: &mut Reply) {
    let asked = request.accept_encoding.as_deref().is_some_and(|accepted| accepted.contains("gzip"));
    let plain = !reply.headers.contains_key(CONTENT_ENCODING);
    if config.compression == Compression::Gzip && asked && plain && !reply.body.is_empty() {
        reply.body = gzip(&reply.body).into();
        reply.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
}
