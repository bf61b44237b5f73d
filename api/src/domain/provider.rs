//! Payment providers.

use clap::ValueEnum;

use super::text_enum::text_enum;

text_enum! {
    /// Payment providers that donations can be made with.
    #[derive(ValueEnum)]
    #[value(rename_all = "snake_case")]
    pub enum Provider {
        /// Confirms when `POST /simulado/pagamentos/{txid}` says so. Development only.
        Simulado = "simulado",
        /// A static BR Code to the organizadora's own PIX key; the organizadora confirms.
        PixEstatico = "pix_estatico",
    }
}
