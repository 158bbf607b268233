//! What stands before every listener: TLS, certificates, limits, and how far webhooks reach.

mod certificates;
mod guessing;
mod hooks;
mod http;
mod limits;
mod relay;
mod tls;
mod world;
