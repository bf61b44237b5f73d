//! The doacoes API: campaigns, donations and PIX over JSON.
//!
//! `domain` knows no IO; `store` holds the SQL; `service` owns transactions; `http` adapts. `app` puts them together.

pub mod app;
pub mod assets;
pub mod background;
pub mod budget;
pub mod cache;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod domain;
pub mod gateway;
pub mod health;
pub mod http;
pub mod keys;
pub mod limits;
pub mod load_shed;
pub mod mail;
pub mod metrics;
pub mod migration_result;
pub mod open_files;
pub mod password;
pub mod pooler_check;
pub mod readiness;
pub mod redis_client;
pub mod seed;
pub mod self_test;
pub mod server;
pub mod service;
pub mod shutdown;
pub mod state;
pub mod store;
pub mod streams;
pub mod telemetry;
pub mod write_timeout;
