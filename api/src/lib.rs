//! The doacoes API: campaigns, donations and PIX over JSON.
//!
//! `domain` knows no IO; `store` holds the SQL; `service` owns transactions; `http` adapts. `app` puts them together, and `commands`
//! is what the binary can be asked to do.

pub mod app;
pub mod background;
pub mod cache;
pub mod commands;
pub mod config;
pub mod domain;
pub mod gateway;
pub mod health;
pub mod http;
pub mod limits;
pub mod mail;
pub mod password;
pub mod process;
pub mod redis_client;
pub mod seed;
pub mod server;
pub mod service;
pub mod state;
pub mod store;
pub mod streams;
pub mod telemetry;
pub mod web;
