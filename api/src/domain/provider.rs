//! Payment providers.

use clap::ValueEnum;

use super::text_enum::text_enum;

text_enum! {
    /// Payment providers that donations can be made with.
    #[derive(ValueEnum)]
    pub enum Provider {
        /// Confirms when `POST /simulado/pagamentos/{txid}` says so. Development only.
        #[value(name = "simulado")]
        Simulated = "simulado",
        /// A static BR Code to the organizadora's own PIX key; the organizadora confirms.
        #[value(name = "pix_estatico")]
        StaticPix = "pix_estatico",
    }
}
