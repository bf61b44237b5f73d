//! The picture of a BR Code, drawn and read back by programs that know nothing of ours.

use std::error::Error;
use std::fs;
use std::process::Command;

use doacoes_api::domain::br_code::{City, ReceiverName, StaticCharge};
use doacoes_api::domain::money::Centavos;
use doacoes_api::domain::pix_key::{PixKey, PixKeyType};
use doacoes_api::domain::qr;
use doacoes_api::domain::txid::Txid;

/// What a camera would read: the SVG drawn at its own size, then decoded.
fn read_back(svg: &str) -> Result<String, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let drawing = dir.path().join("qr.svg");
    let picture = dir.path().join("qr.png");
    fs::write(&drawing, svg)?;
    let draw = Command::new("rsvg-convert").arg("--output").arg(&picture).arg(&drawing).output();
    succeed(draw, "rsvg-convert", "librsvg2-bin")?;
    let read = Command::new("zbarimg").args(["--raw", "-q", "-Sdisable", "-Sqrcode.enable"]).arg(&picture).output();
    let mut text = succeed(read, "zbarimg", "zbar-tools")?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// The output of a program that has to be there and to succeed.
fn succeed(output: std::io::Result<std::process::Output>, program: &str, package: &str) -> Result<String, Box<dyn Error>> {
    let output = output.map_err(|error| format!("{program} did not run ({error}); install the Debian package {package}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program} ended with {}: {stderr}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn charge((kind, key): (PixKeyType, &str), name: &str, city: &str, centavos: i64, txid: &Txid) -> Result<String, Box<dyn Error>> {
    Ok(StaticCharge {
        key: &PixKey::parse(kind, key)?,
        receiver_name: &ReceiverName::parse(name)?,
        city: &City::parse(city)?,
        amount: Centavos::try_from(centavos)?,
        txid,
    }
    .encode())
}

#[test]
fn a_reader_gets_the_br_code_from_its_picture() -> Result<(), Box<dyn Error>> {
    let shortest = Txid::parse("1")?;
    let usual = Txid::from_uuid(0x0192_f0c1_2b3d_7e4f_8a5b_6c7d_8e9f_a0b1);
    for code in [
        charge((PixKeyType::Cpf, "52998224725"), "A", "B", 1, &shortest)?,
        charge((PixKeyType::Cnpj, "12ABC34501DE35"), "Associação Mãos à Obra", "São Paulo", 5_000, &usual)?,
        charge((PixKeyType::Phone, "+5561912345678"), "Casa 100% *$+./:-", "Olho-d'Água", 12_345, &usual)?,
        charge((PixKeyType::Random, "123e4567-e12b-12d1-a456-426655440000"), "Fulano de Tal", "Brasília", 99_999_999, &usual)?,
    ] {
        assert_eq!(read_back(&qr::svg(&code)?)?, code);
    }
    Ok(())
}

#[test]
fn a_reader_gets_the_longest_br_code_from_its_picture() -> Result<(), Box<dyn Error>> {
    let code = charge(
        (PixKeyType::Email, &format!("{}@exemplo.org", "tesouraria.".repeat(6).trim_end_matches('.'))),
        "Instituto Beneficente Cultural e Social",
        "São José do Rio Preto",
        100_000_000,
        &Txid::from_uuid(u128::MAX),
    )?;
    assert!(code.contains("26990014br.gov.bcb.pix0177"));
    assert!(code.contains("5925") && code.contains("6015") && code.contains("0525"));
    assert_eq!(read_back(&qr::svg(&code)?)?, code);
    Ok(())
}

#[test]
fn a_reader_gets_the_static_example_of_the_manual() -> Result<(), Box<dyn Error>> {
    let code = "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-4266554400005204000053039865802BR5913Fulano de Tal6008BRASILIA62070503***63041D3D";
    assert_eq!(read_back(&qr::svg(code)?)?, code);
    Ok(())
}
