use std::error::Error;

use proptest::prelude::*;

use super::*;
use crate::domain::pix_key::{PixKeyType, strategy::pix_key};

/// One a line. The first is the static example of the manual, the second the offer of Pix
/// Automático of the API Pix's documentation, the third a dynamic charge with the identifier in
/// capitals; the others add, in this order: a template of another system inside the additional
/// data, a phone and free text beside the key, a dynamic charge with an amount and a txid, and
/// fields in an unusual order.
const RIGHT: &str = "\
00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-4266554400005204000053039865802BR5913Fulano de Tal6008BRASILIA62070503***63041D3D
00020126180014br.gov.bcb.pix5204000053039865802BR5913Fulano de Tal6008BRASILIA62070503***80800014br.gov.bcb.pix2558pix.example.com/qr/v2/rec/2353c790eefb11eaadc10242ac120002630462C9
00020101021226770014BR.GOV.BCB.PIX2555pix.example.com/qr/93598be0-1bd0-4997-8318-81776a1d8a995204000053039865802BR5907EMPRESA6009SAO PAULO62070503***6304EEAB
00020126330014br.gov.bcb.pix0111529982247255204000053039865802BR5913Fulano de Tal6008BRASILIA62410503***50300017BR.GOV.BCB.BRCODE01051.0.06304@@@@
00020126480014br.gov.bcb.pix0114+55619123456780208doacao 15204839853039865406123.455802BR5913Fulano de Tal6008BRASILIA610870074900620705031aZ6304@@@@
00020101021226770014BR.GOV.BCB.PIX2555pix.example.com/qr/93598be0-1bd0-4997-8318-81776a1d8a995204000053039865406527.005802BR5907EMPRESA6009SAO PAULO62290525ddb94f8bd33c3bfd1ad38e3b56304@@@@
0002015204000053039865802BR6008BRASILIA5913Fulano de Tal62070503***27360014br.gov.bcb.pix0114112223330001816304@@@@";

/// A code without a fault whose parts the tests change.
const BODY: &str = "00020126360014br.gov.bcb.pix0114112223330001815204000053039865406123.455802BR5913Fulano de Tal6008BRASILIA62070503abc";

/// The CRC written from its definition, bit by bit, so as not to trust the library's parameters.
fn crc_by_definition(text: &str) -> String {
    let crc = text.bytes().fold(0xFFFF_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 { shifted } else { shifted ^ 0x1021 }
        })
    });
    format!("{crc:04X}")
}

fn sealed(body: &str) -> String {
    let covered = format!("{body}6304");
    let crc = crc_by_definition(&covered);
    covered + &crc
}

/// The right codes, with the CRC of those that leave it open.
fn right() -> impl Iterator<Item = String> {
    RIGHT.lines().map(|line| line.strip_suffix("6304@@@@").map_or_else(|| line.to_owned(), sealed))
}

/// `BODY` with one part changed, sealed.
fn with(part: &str, changed: &str) -> String {
    assert_eq!(BODY.matches(part).count(), 1, "{part}");
    sealed(&BODY.replace(part, changed))
}

/// The field an error complains of, after checking that the complaint is the expected one.
fn refused(text: &str, complains: fn(&BrCodeError) -> Option<FieldId>) -> Option<String> {
    let error = BrCode::parse(text).err()?;
    complains(&error).map(|field| field.to_string())
}

fn of_value(error: &BrCodeError) -> Option<FieldId> {
    match error {
        BrCodeError::Value { field, .. } => Some(*field),
        _ => None,
    }
}

fn of_repetition(error: &BrCodeError) -> Option<FieldId> {
    match error {
        BrCodeError::Repeated(field) => Some(*field),
        _ => None,
    }
}

fn of_absence(error: &BrCodeError) -> Option<FieldId> {
    match error {
        BrCodeError::Missing(field) => Some(*field),
        _ => None,
    }
}

#[test]
fn the_crc_has_the_check_value_of_its_catalogue() {
    assert_eq!(checksum("123456789"), "29B1");
    assert_eq!(crc_by_definition("123456789"), "29B1");
}

#[test]
fn right_codes_are_read_and_written_to_the_same_text() -> Result<(), BrCodeError> {
    for text in right().chain([sealed(BODY)]) {
        assert_eq!(BrCode::parse(&text)?.to_string(), text);
    }
    Ok(())
}

#[test]
fn the_static_example_of_the_manual_tells_its_fields() -> Result<(), Box<dyn Error>> {
    let code = BrCode::parse(&right().next().ok_or("no vector")?)?;
    let key = code.key().ok_or("no key")?;
    assert_eq!(key.kind(), PixKeyType::Random);
    assert_eq!(key.as_str(), "123e4567-e12b-12d1-a456-426655440000");
    assert_eq!((code.url(), code.recurrence_url()), (None, None));
    assert_eq!(code.amount(), None);
    assert_eq!(code.receiver_name(), "Fulano de Tal");
    assert_eq!(code.city(), "BRASILIA");
    assert_eq!(code.txid(), None);
    Ok(())
}

#[test]
fn the_recurrence_example_tells_its_url() -> Result<(), Box<dyn Error>> {
    let code = BrCode::parse(&right().nth(1).ok_or("no vector")?)?;
    assert_eq!((code.key(), code.url()), (None, None));
    assert_eq!(code.recurrence_url(), Some("pix.example.com/qr/v2/rec/2353c790eefb11eaadc10242ac120002"));
    Ok(())
}

#[test]
fn dynamic_codes_tell_url_amount_and_txid() -> Result<(), Box<dyn Error>> {
    let url = Some("pix.example.com/qr/93598be0-1bd0-4997-8318-81776a1d8a99");
    let open = BrCode::parse(&right().nth(2).ok_or("no vector")?)?;
    assert_eq!((open.key(), open.url()), (None, url));
    assert_eq!((open.amount(), open.txid()), (None, None));
    let full = BrCode::parse(&right().nth(5).ok_or("no vector")?)?;
    assert_eq!((full.key(), full.url()), (None, url));
    assert_eq!(full.amount().map(Centavos::get), Some(52_700));
    assert_eq!(full.txid().map(Txid::as_str), Some("ddb94f8bd33c3bfd1ad38e3b5"));
    Ok(())
}

#[test]
fn a_static_charge_is_written_as_the_manual_shows() -> Result<(), Box<dyn Error>> {
    let charge = StaticCharge {
        key: &PixKey::parse(PixKeyType::Cnpj, "11.222.333/0001-81")?,
        receiver_name: &ReceiverName::parse("Fulano de Tal")?,
        city: &City::parse("Brasília")?,
        amount: Centavos::try_from(12_345)?,
        txid: &Txid::parse("abc")?,
    };
    assert_eq!(
        charge.encode(),
        sealed("00020126360014br.gov.bcb.pix0114112223330001815204000053039865406123.455802BR5913Fulano de Tal6008Brasilia62070503abc")
    );
    Ok(())
}

#[test]
fn the_longest_charge_fills_the_account_and_fits_in_pix() -> Result<(), Box<dyn Error>> {
    let longest = format!("{}@exemplo.org", "a".repeat(65));
    let charge = StaticCharge {
        key: &PixKey::parse(PixKeyType::Email, &longest)?,
        receiver_name: &ReceiverName::parse(&"Nome".repeat(10))?,
        city: &City::parse(&"Cidade".repeat(10))?,
        amount: Centavos::try_from(100_000_000)?,
        txid: &Txid::from_uuid(u128::MAX),
    };
    let text = charge.encode();
    assert!(text.contains(&format!("26990014br.gov.bcb.pix0177{longest}5204")));
    assert!(text.contains("54101000000.005802BR"));
    assert!(text.len() <= MAX_CODE_CHARS);
    let code = BrCode::parse(&text)?;
    assert_eq!(code.key(), Some(charge.key));
    assert_eq!(code.to_string(), text);
    Ok(())
}

#[test]
fn an_amount_always_has_two_decimals() -> Result<(), Box<dyn Error>> {
    for (centavos, written) in [(1, "0.01"), (10, "0.10"), (100, "1.00"), (12_345, "123.45"), (100_000_000, "1000000.00")] {
        let amount = Centavos::try_from(centavos)?;
        assert_eq!(write_amount(amount), written);
        assert_eq!(read_amount(written)?.get(), centavos);
    }
    Ok(())
}

#[test]
fn an_amount_in_another_form_is_refused() {
    for text in [
        "1",
        "1.",
        "1.0",
        "1.000",
        ".50",
        "1,00",
        "-1.00",
        "+1.00",
        "1.-1",
        "1.0.0",
        " 1.00",
        "0.00",
        "1000000.01",
        "9999999999.99",
        "10000000000.00",
    ] {
        let length = text.len();
        let code = with("5406123.45", &format!("54{length:02}{text}"));
        assert_eq!(refused(&code, of_value).as_deref(), Some("54"), "{text}");
    }
}

#[test]
fn every_change_of_one_character_is_refused() {
    for text in right() {
        for position in 0..text.len() {
            for changed in (b' '..=b'~').map(char::from).chain(['\n', 'ã']) {
                let mutation: String = text.chars().enumerate().map(|(i, c)| if i == position { changed } else { c }).collect();
                assert!(mutation == text || BrCode::parse(&mutation).is_err(), "{mutation}");
            }
        }
    }
}

#[test]
fn a_missing_a_doubled_and_a_swapped_character_are_refused() {
    for text in right() {
        let characters: Vec<char> = text.chars().collect();
        for position in 0..text.len() {
            let mut missing = characters.clone();
            let removed = missing.remove(position);
            let mut doubled = characters.clone();
            doubled.insert(position, removed);
            let mut swapped = missing.clone();
            swapped.insert((position + 1).min(missing.len()), removed);
            for changed in [missing, doubled, swapped] {
                let mutation: String = changed.into_iter().collect();
                assert!(mutation == text || BrCode::parse(&mutation).is_err(), "{mutation}");
            }
        }
    }
}

#[test]
fn a_wrong_crc_is_refused_as_such() {
    for crc in ["1D3E", "0000", "1d3d"] {
        let text = RIGHT.lines().next().unwrap_or_default();
        let text = text.replace("63041D3D", &format!("6304{crc}"));
        assert_eq!(BrCode::parse(&text), Err(BrCodeError::Crc));
    }
}

#[test]
fn a_length_that_lies_is_refused_although_the_crc_covers_it() {
    for (part, changed) in [
        // Seven characters are there; it is how a published example has it.
        ("62070503abc", "62080503abc"),
        ("62070503abc", "62060503abc"),
        ("62070503abc", "62070504abc"),
        ("62070503abc", "62070502abc"),
        ("26360014", "26350014"),
        ("26360014", "26370014"),
        ("26360014", "26360013"),
        ("011411222333000181", "011511222333000181"),
        ("5913Fulano de Tal", "5912Fulano de Tal"),
        ("5913Fulano de Tal", "5999Fulano de Tal"),
        ("5913Fulano de Tal", "5900"),
    ] {
        let text = with(part, changed);
        assert!(matches!(BrCode::parse(&text), Err(BrCodeError::Length(_) | BrCodeError::Header)), "{text}");
    }
    let recurrence = "80800014br.gov.bcb.pix2558pix.example.com/qr/v2/rec/2353c790eefb11eaadc10242ac120002";
    for lie in ["80790014", "80810014", "80800015", "80800013"] {
        let text = sealed(&format!("{BODY}{}", recurrence.replace("80800014", lie)));
        assert!(BrCode::parse(&text).is_err(), "{text}");
    }
}

#[test]
fn a_length_is_two_digits_and_nothing_else() {
    for header in ["5 13", "59+3", "591 ", "5B13", "-913"] {
        let text = with("5913Fulano", &format!("{header}Fulano"));
        assert_eq!(BrCode::parse(&text), Err(BrCodeError::Header), "{text}");
    }
}

#[test]
fn a_repeated_field_is_refused_at_every_depth() {
    for (part, changed, field) in [
        ("5802BR", "5802BR5802BR", "58"),
        ("26360014br.gov.bcb.pix011411222333000181", "26540014br.gov.bcb.pix011411222333000181011411222333000181", "26-01"),
        ("62070503abc", "62140503abc0503abc", "62-05"),
        ("62070503abc", "62250503abc50140003aaa0003bbb", "50-00"),
    ] {
        let text = with(part, changed);
        assert_eq!(refused(&text, of_repetition).as_deref(), Some(field));
    }
}

#[test]
fn the_format_comes_first_and_the_crc_last() {
    let (_, without_format) = BODY.split_at(6);
    for body in [without_format.to_owned(), format!("{without_format}000201"), format!("000202{without_format}"), format!("010211{BODY}")] {
        assert_eq!(BrCode::parse(&sealed(&body)), Err(BrCodeError::First));
    }
    for text in ["", "000201", BODY, &format!("{}8003abc", sealed(BODY))] {
        assert!(BrCode::parse(text).is_err(), "{text}");
    }
    assert_eq!(BrCode::parse(BODY), Err(BrCodeError::Last));
    assert_eq!(BrCode::parse(&format!("{BODY}6303123")), Err(BrCodeError::Last));
    assert_eq!(BrCode::parse(&format!("{}6104aaaa", sealed(BODY))), Err(BrCodeError::Last));
}

#[test]
fn a_mandatory_field_is_missed_by_its_number() {
    for (part, field) in [
        ("52040000", "52"),
        ("5303986", "53"),
        ("5802BR", "58"),
        ("5913Fulano de Tal", "59"),
        ("6008BRASILIA", "60"),
        ("62070503abc", "62-05"),
    ] {
        let text = with(part, "");
        assert_eq!(refused(&text, of_absence).as_deref(), Some(field));
    }
    assert_eq!(BrCode::parse(&with("26360014br.gov.bcb.pix011411222333000181", "")), Err(BrCodeError::Account));
}

#[test]
fn a_value_against_its_rule_is_refused_by_its_number() {
    for (part, changed, field) in [
        ("5303986", "5303840", "53"),
        ("5802BR", "5802PT", "58"),
        ("52040000", "5204000A", "52"),
        ("52040000", "5203000", "52"),
        ("000201", "000201010213", "01"),
        ("5913Fulano de Tal", "5926Fulano de Tal de Tal de Ta", "59"),
        ("5913Fulano de Tal", "5902  ", "59"),
        ("6008BRASILIA", "6016SAO JOSE DO RIO ", "60"),
        ("6008BRASILIA", "6008BRASILIA611112345678901", "61"),
        ("0503abc", "0503a-c", "62-05"),
        ("0503abc", "0503a c", "62-05"),
        ("011411222333000181", "011411222333000182", "26-01"),
        ("26360014br.gov.bcb.pix011411222333000181", "26520014br.gov.bcb.pix2530https://pix.example.com/qr/abc", "26-25"),
        ("26360014br.gov.bcb.pix011411222333000181", "26380014br.gov.bcb.pix2516pix.example/a bc", "26-25"),
        ("26360014br.gov.bcb.pix011411222333000181", "26330014br.gov.bcb.pix0111Doe@doe.org", "26-01"),
    ] {
        let text = with(part, changed);
        assert_eq!(refused(&text, of_value).as_deref(), Some(field), "{text}");
    }
}

#[test]
fn a_code_pays_to_exactly_one_place() {
    let account = "26360014br.gov.bcb.pix011411222333000181";
    for (changed, error) in [
        ("26180014br.gov.bcb.pix", BrCodeError::Destination),
        ("26550014br.gov.bcb.pix0114112223330001812515pix.example/abc", BrCodeError::Destination),
        ("26360014br.gov.bcb.pix01141122233300018127360014BR.GOV.BCB.PIX011411222333000181", BrCodeError::Account),
        ("26360014br.gov.bcb.pag011411222333000181", BrCodeError::Account),
        ("2618011411222333000181", BrCodeError::Account),
    ] {
        assert_eq!(BrCode::parse(&with(account, changed)), Err(error), "{changed}");
    }
}

#[test]
fn the_account_of_another_system_may_stand_beside_the_one_of_pix() -> Result<(), Box<dyn Error>> {
    let text = with("52040000", "27110007foo.bar52040000");
    let code = BrCode::parse(&text)?;
    assert_eq!(code.key().map(PixKey::as_str), Some("11222333000181"));
    assert_eq!(code.to_string(), text);
    Ok(())
}

#[test]
fn a_text_out_of_ascii_or_longer_than_pix_allows_is_refused() {
    assert_eq!(BrCode::parse(&with("BRASILIA", "BRASÍLI")), Err(BrCodeError::Alphabet));
    assert_eq!(BrCode::parse(&with("BRASILIA", "BRASILI\t")), Err(BrCodeError::Alphabet));
    let filler = "a".repeat(95);
    let long: String = ["90", "91", "92", "93", "94"].map(|tag| format!("{tag}990095{filler}")).concat();
    assert_eq!(BrCode::parse(&sealed(&format!("{BODY}{long}"))), Err(BrCodeError::TooLong));
}

#[test]
fn errors_name_the_field_and_the_rule_in_portuguese() {
    assert_eq!(
        BrCodeError::Value { field: FieldId::within(26, 1), rule: "uma chave PIX válida" }.to_string(),
        "o campo 26-01 do BR Code deve ter uma chave PIX válida"
    );
    assert_eq!(BrCodeError::Missing(FieldId::root(5)).to_string(), "o campo 05 do BR Code é obrigatório");
}

#[test]
fn debug_does_not_show_the_contents() -> Result<(), BrCodeError> {
    let code = BrCode::parse(&sealed(BODY))?;
    assert_eq!(format!("{code:?}"), "BrCode(***)");
    Ok(())
}

proptest! {
    #[test]
    fn what_a_charge_says_is_what_its_code_says(
        key in pix_key(),
        name in any::<String>().prop_filter_map("a name", |text| ReceiverName::parse(&text).ok()),
        city in "[ A-Za-zÀ-ÿ'-]{1,30}".prop_filter_map("a city", |text| City::parse(&text).ok()),
        centavos in prop_oneof![1_i64..=200, 1_i64..=100_000_000],
        uuid: u128,
    ) {
        let amount = Centavos::try_from(centavos)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let txid = Txid::from_uuid(uuid);
        let charge = StaticCharge {
            key: &key,
            receiver_name: &name,
            city: &city,
            amount,
            txid: &txid,
        };
        let text = charge.encode();
        prop_assert!(text.is_ascii());
        prop_assert!(text.len() <= MAX_CODE_CHARS);
        prop_assert_eq!(&text, &sealed(text.get(..text.len() - 8).unwrap_or_default()));

        let code = BrCode::parse(&text)?;
        prop_assert_eq!(code.key(), Some(&key));
        prop_assert_eq!(code.url(), None);
        prop_assert_eq!(code.recurrence_url(), None);
        prop_assert_eq!(code.amount().map(Centavos::get), Some(centavos));
        prop_assert_eq!(code.receiver_name(), name.as_str());
        prop_assert_eq!(code.city(), city.as_str());
        prop_assert_eq!(code.txid(), Some(&txid));
        prop_assert_eq!(code.to_string(), text);
    }

    #[test]
    fn no_text_breaks_the_reader(text in "\\PC{0,80}") {
        if let Ok(code) = BrCode::parse(&text) {
            prop_assert_eq!(code.to_string(), text);
        }
    }

    #[test]
    fn what_is_read_is_written_back_whatever_was_changed(
        start in 0_usize..BODY.len(), length in 0_usize..6, put in "[0-9A-Z]{0,6}",
    ) {
        let end = (start + length).min(BODY.len());
        let mut body = BODY.to_owned();
        body.replace_range(start..end, &put);
        let text = sealed(&body);
        if let Ok(code) = BrCode::parse(&text) {
            prop_assert_eq!(code.to_string(), text);
        }
    }
}
