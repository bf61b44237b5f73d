//! The picture of a BR Code.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};
use thiserror::Error;

/// The light margin that a reader needs on each side, in modules (ISO/IEC 18004).
const QUIET_ZONE_MODULES: usize = 4;

/// The least width of the picture when nothing scales it, in pixels.
const MIN_SIZE_PIXELS: usize = 256;

/// Why a text has no picture.
#[derive(Debug, Error)]
pub enum QrError {
    /// The text exceeds the largest QR Code.
    #[error("o texto não cabe em um QR Code")]
    Text(#[source] qrcode::types::QrError),
    /// The picture could not be written.
    #[error("o QR Code não pôde ser desenhado")]
    Draw(#[from] std::fmt::Error),
}

/// The QR Code of a text as an SVG document: error correction level M, black on white, a whole
/// number of pixels to each module, at least 256 pixels wide and free to scale.
pub fn svg(br_code: &str) -> Result<String, QrError> {
    let code = QrCode::with_error_correction_level(br_code, EcLevel::M).map_err(QrError::Text)?;
    let modules = code.width();
    let side = modules + 2 * QUIET_ZONE_MODULES;
    let pixels = side * MIN_SIZE_PIXELS.div_ceil(side);
    let path = path(&code.into_colors(), modules)?;
    Ok(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{pixels}" height="{pixels}" viewBox="0 0 {side} {side}" role="img" lang="pt-BR" shape-rendering="crispEdges"><title>QR Code do PIX</title><path fill="#fff" d="M0 0h{side}v{side}H0z"/><path d="{path}"/></svg>"##
    ))
}

/// One rectangle for each run of dark modules in a row.
fn path(colors: &[Color], modules: usize) -> Result<String, std::fmt::Error> {
    let mut path = String::new();
    for (row, line) in colors.chunks(modules).enumerate() {
        let mut column = 0;
        for run in line.chunk_by(|a, b| a == b) {
            if run.first() == Some(&Color::Dark) {
                let (x, y, length) = (column + QUIET_ZONE_MODULES, row + QUIET_ZONE_MODULES, run.len());
                write!(path, "M{x} {y}h{length}v1h-{length}z")?;
            }
            column += run.len();
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const BR_CODE: &str = "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-4266554400005204000053039865802BR5913Fulano de Tal6008BRASILIA62070503***63041D3D";

    /// The dark modules a path paints, by running its commands.
    fn painted(path: &str) -> Result<HashSet<(usize, usize)>, Box<dyn std::error::Error>> {
        let mut dark = HashSet::new();
        for rectangle in path.split_terminator('z') {
            let (start, rest) = rectangle.split_once('h').ok_or("no run")?;
            let (x, y) = start.strip_prefix('M').and_then(|at| at.split_once(' ')).ok_or("no start")?;
            let (length, back) = rest.split_once("v1h-").ok_or("no height")?;
            assert_eq!(length, back, "the rectangle does not close");
            let (x, y, length): (usize, usize, usize) = (x.parse()?, y.parse()?, length.parse()?);
            for column in x..x + length {
                assert!(dark.insert((column, y)), "a module is painted twice");
            }
        }
        Ok(dark)
    }

    #[test]
    fn the_path_paints_each_dark_module_once_inside_the_quiet_zone() -> Result<(), Box<dyn std::error::Error>> {
        let code = QrCode::with_error_correction_level(BR_CODE, EcLevel::M)?;
        let modules = code.width();
        let colors = code.into_colors();
        let expected: HashSet<_> = colors
            .iter()
            .enumerate()
            .filter(|(_, color)| **color == Color::Dark)
            .map(|(i, _)| (i % modules + QUIET_ZONE_MODULES, i / modules + QUIET_ZONE_MODULES))
            .collect();
        assert_eq!(painted(&path(&colors, modules)?)?, expected);
        Ok(())
    }

    #[test]
    fn the_document_is_sized_scalable_crisp_and_titled() -> Result<(), QrError> {
        let svg = svg(BR_CODE)?;
        // 45 modules and twice the quiet zone, five pixels to a module.
        for part in [
            r#"width="265" height="265" viewBox="0 0 53 53""#,
            r#"role="img""#,
            r#"shape-rendering="crispEdges""#,
            "<title>QR Code do PIX</title>",
            r##"fill="#fff" d="M0 0h53v53H0z""##,
        ] {
            assert!(svg.contains(part), "{part}");
        }
        assert_eq!(svg.matches("<path").count(), 2);
        assert!(svg.len() < 12_000, "{} bytes", svg.len());
        Ok(())
    }

    #[test]
    fn the_text_never_appears_in_the_document() -> Result<(), QrError> {
        assert!(!svg("<script>alert(1)</script>")?.contains("script"));
        Ok(())
    }

    #[test]
    fn a_text_too_long_for_a_qr_code_is_refused() {
        assert!(matches!(svg(&"a".repeat(2_332)), Err(QrError::Text(_))));
        assert!(svg(&"a".repeat(2_331)).is_ok());
    }
}
