//! `/assets`: what pages load beside themselves, all of it built into the program and nothing of it from other hosts.
//!
//! An address carries a digest of what it names, so a browser may keep it for ever and never has an old one.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::chart;
use super::problem::Problem;

struct Asset {
    name: &'static str,
    kind: &'static str,
    body: String,
    digest: String,
}

/// The style of all pages, a file for each part of them.
const STYLE: &[&str] = &[
    include_str!("base.css"),
    chart::STYLE,
    include_str!("doorstep.css"),
    include_str!("figures.css"),
    include_str!("projectors.css"),
    include_str!("sites.css"),
];

const SCRIPTS: &[(&str, &str)] = &[
    ("board.js", include_str!("board.js")),
    ("live.js", include_str!("live.js")),
    ("visits.js", include_str!("visits.js")),
];

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let style = Asset::new("fenlei.css", "text/css; charset=utf-8", STYLE.concat());
    let script =
        |(name, body): &(&'static str, &str)| Asset::new(name, "text/javascript; charset=utf-8", (*body).to_owned());
    std::iter::once(style).chain(SCRIPTS.iter().map(script)).collect()
});

impl Asset {
    fn new(name: &'static str, kind: &'static str, body: String) -> Self {
        let digest = URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..9]);
        Self { name, kind, body, digest }
    }
}

/// The address of an asset; one that does not exist is a mistake of ours, which the tests of every page would see.
pub(super) fn address(name: &str) -> String {
    let digest = ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| &asset.digest);
    format!("/assets/{name}?v={digest}")
}

pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.name == name).ok_or_else(Problem::not_found)?;
    let headers = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, asset.body.as_str()).into_response())
}
