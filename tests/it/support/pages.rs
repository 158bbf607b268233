//! Somebody who signed in, as a browser without a script would: cookies kept, forms filled in, redirects seen.

use std::collections::BTreeSet;

use fenlei::domain::registry::Role;
use fenlei::passwords;
use fenlei::store::accounts;
use reqwest::{Client, Method, RequestBuilder, StatusCode, redirect};

use super::api::Api;

pub(crate) const PASSWORD: &str = "correct horse battery";

#[derive(Clone)]
pub(crate) struct Browser {
    base: String,
    client: Client,
    cookies: String,
}

/// A page as it was answered.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) status: StatusCode,
    /// Where it sends the browser.
    pub(crate) location: Option<String>,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Browser {
    /// One that has no session.
    pub(crate) fn new(api: &Api) -> Self {
        Self::at(api.base.clone())
    }

    /// One that has no session at the backend of this address.
    pub(crate) fn at(base: String) -> Self {
        let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
        Self { base, client, cookies: String::new() }
    }

    /// Signed in to an account of its own.
    pub(crate) async fn signed_in(api: &Api, name: &str, organization: Option<&str>, roles: &[Role]) -> Self {
        account(api, name, organization, roles).await;
        let mut browser = Self::new(api);
        let shown = browser.sign_in(name, PASSWORD).await;
        assert_eq!(shown.status, StatusCode::SEE_OTHER, "{shown:?}");
        browser
    }

    pub(crate) async fn sign_in(&mut self, name: &str, password: &str) -> Shown {
        let shown = self.send("/sign-in", &[("name", name), ("password", password)]).await;
        self.keep(&shown);
        shown
    }

    /// Takes in the cookies of an answer.
    pub(crate) fn keep(&mut self, shown: &Shown) {
        for cookie in shown.headers.get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let name = format!("{}=", pair.split('=').next().unwrap());
            let kept = self.cookies.split("; ").filter(|kept| !kept.starts_with(&name) && !kept.is_empty());
            self.cookies = kept.chain([pair]).collect::<Vec<_>>().join("; ");
        }
    }

    pub(crate) fn english(&mut self) {
        self.cookies.push_str("; fenlei_lang=en");
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).header("cookie", &self.cookies)
    }

    pub(crate) async fn get(&self, path: &str) -> Shown {
        Shown::of(self.request(Method::GET, path).send().await.unwrap()).await
    }

    /// A page that must be there.
    pub(crate) async fn see(&self, path: &str) -> String {
        let shown = self.get(path).await;
        assert_eq!(shown.status, StatusCode::OK, "{path}: {shown:?}");
        shown.body
    }

    /// Sends a form as it stands: without a token unless it is among the fields.
    pub(crate) async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Shown {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.request(Method::POST, path);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        Shown::of(request.send().await.unwrap()).await
    }

    /// Sends a form with the token of its session, as the page `from` carries it.
    pub(crate) async fn submit(&self, from: &str, path: &str, fields: &[(&str, &str)]) -> Shown {
        let csrf = csrf(&self.see(from).await);
        let fields: Vec<_> = [("csrf", csrf.as_str())].into_iter().chain(fields.iter().copied()).collect();
        self.send(path, &fields).await
    }

    /// Sends a form that holds a file, with the token of its session.
    pub(crate) async fn upload(&self, from: &str, path: &str, fields: &[(&str, &str)]) -> Shown {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        self.upload_bytes(from, path, &fields).await
    }

    /// The same with files that are no text.
    pub(crate) async fn upload_bytes(&self, from: &str, path: &str, fields: &[(&str, &[u8])]) -> Shown {
        const BOUNDARY: &str = "----fenlei-test";
        let csrf = csrf(&self.see(from).await);
        let mut body = Vec::new();
        for (name, value) in [("csrf", csrf.as_bytes())].iter().chain(fields) {
            let file = if *name == "file" { "; filename=\"file.csv\"" } else { "" };
            let head = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
            body.extend([head.as_bytes(), value, b"\r\n"].concat());
        }
        body.extend(format!("--{BOUNDARY}--\r\n").as_bytes());
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let request = self.request(Method::POST, path).header("content-type", kind).body(body);
        Shown::of(request.send().await.unwrap()).await
    }
}

impl Shown {
    async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let location = headers.get("location").map(|location| location.to_str().unwrap().to_owned());
        Self { status, location, headers, body: response.text().await.unwrap() }
    }
}

/// The token of the forms of a page.
pub(crate) fn csrf(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form");
    rest.split('"').next().unwrap().to_owned()
}

/// An account with [`PASSWORD`].
pub(crate) async fn account(api: &Api, name: &str, organization: Option<&str>, roles: &[Role]) {
    let (name, organization) = (name.to_owned(), organization.map(str::to_owned));
    let roles: BTreeSet<_> = roles.iter().copied().collect();
    let added = api.store.write(move |session| {
        let password = passwords::hash(PASSWORD).unwrap();
        accounts::add(session.connection, &name, &password, organization.as_deref(), &roles, 0)
    });
    assert!(added.await.unwrap(), "the name is free");
}
