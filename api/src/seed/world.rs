//! People, organisations and campaigns.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::random::Random;
use super::rows::{ColumnValue, Rows};
use super::words::{self, Cause};
use super::{SeedError, legal};
use crate::domain::br_code::{City, ReceiverName};
use crate::domain::campaign::CampaignStatus;
use crate::domain::cnpj::Cnpj;
use crate::domain::organizadora::OrganizadoraStatus;
use crate::domain::pix_key::{PixKey, PixKeyType};
use crate::domain::role::{PlatformRole, Role};
use crate::domain::slug::Slug;
use crate::domain::text::{Description, Name, Title};
use crate::state::PRIVACY_NOTICE;
use crate::store::StoreError;

/// When the platform of the demonstration opened. Everything happens after it and was over when this was written, but for
/// [`FAR_FUTURE`].
pub(super) const OPENED_AT: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);
/// What is still open is so until then, whenever the seed runs.
pub(super) const FAR_FUTURE: OffsetDateTime = datetime!(2030-01-01 0:00 UTC);
/// When the last campaign of the demonstration was closed.
pub(super) const LAST_CLOSED_AT: OffsetDateTime = datetime!(2026-10-30 12:00 UTC);
/// When people signed up, counted from [`OPENED_AT`].
const SIGNED_UP_AFTER: (Duration, Duration) = (Duration::days(1), Duration::days(9));
/// When campaigns were made, counted from [`OPENED_AT`].
const CAMPAIGN_MADE_AFTER: (Duration, Duration) = (Duration::days(10), Duration::days(270));
/// How long a campaign was a draft.
const DRAFT_TIME: Duration = Duration::days(1);
/// The least and the largest donation that campaigns take, in centavos.
const MIN_DONATION_CENTAVOS: i64 = 500;
const MAX_DONATION_CENTAVOS: i64 = 5_000_000;

/// What the donations need to know about a person.
pub(super) struct SeedPerson {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) email: String,
}

/// What the donations need to know about an organisation.
pub(super) struct Organisation {
    pub(super) id: Uuid,
    pub(super) owner: Uuid,
    pub(super) key: PixKey,
    pub(super) receiver: ReceiverName,
    pub(super) city: City,
    pub(super) bank_account: i64,
}

/// What the donations need to know about a campaign.
pub(super) struct SeedCampaign<'a> {
    pub(super) id: Uuid,
    pub(super) organisation: &'a Organisation,
    pub(super) status: CampaignStatus,
    pub(super) published: OffsetDateTime,
    pub(super) account: i64,
}

/// The `index`-th of `count` moments spread evenly over `span`, to the second.
fn spread(span: (Duration, Duration), index: u32, count: u32) -> OffsetDateTime {
    let width = (span.1 - span.0).whole_seconds();
    OPENED_AT + span.0 + Duration::seconds(width * i64::from(index) / i64::from(count.max(1)))
}

fn full_name(random: &mut Random) -> String {
    format!("{} {} {}", random.word(words::FIRST_NAMES), random.word(words::SURNAMES), random.word(words::SURNAMES))
}

/// First name and surname.
pub(super) fn short_name(random: &mut Random) -> String {
    format!("{} {}", random.word(words::FIRST_NAMES), random.word(words::SURNAMES))
}

/// Stores `count` people who all log in with the password behind `hash`.
pub(super) async fn people(db: &mut PgConnection, random: &mut Random, count: u32, hash: &str) -> Result<Vec<SeedPerson>, SeedError> {
    let mut rows = Rows::of(
        "pessoas (id, nome, email, email_verificado_em, senha_hash, papel, aviso_privacidade, consentimento_em, criada_em, atualizada_em)",
    );
    let mut people = Vec::new();
    for index in 0..count {
        let at = spread(SIGNED_UP_AFTER, index, count);
        let name = legal("nome", Name::parse(&full_name(random)))?.as_str().to_owned();
        let person = SeedPerson { id: random.id(at), name, email: format!("pessoa{}@exemplo.org.br", index + 1) };
        rows.push([
            person.id.into(),
            person.name.as_str().into(),
            person.email.as_str().into(),
            at.into(),
            hash.into(),
            PlatformRole::Person.as_str().into(),
            PRIVACY_NOTICE.into(),
            at.into(),
            at.into(),
            at.into(),
        ]);
        people.push(person);
    }
    rows.store(db).await?;
    Ok(people)
}

/// Stores `count` organisations with their members and PIX keys. The first people own them.
pub(super) async fn organisations(
    db: &mut PgConnection,
    random: &mut Random,
    count: u32,
    people: &[SeedPerson],
) -> Result<Vec<Organisation>, SeedError> {
    let mut rows = Rows::of("organizadoras (id, slug, nome, cnpj, situacao, criada_em, atualizada_em)");
    let mut members = Rows::of("organizadora_membros (organizadora_id, pessoa_id, papel, criado_em)");
    let mut keys =
        Rows::of("organizadora_chaves_pix (id, organizadora_id, tipo, chave, nome_recebedor, cidade, criada_por, criada_em, vigora_em)");
    let mut organisations = Vec::new();
    let mut owners = people.iter().cycle();
    let mut others = people.iter().skip(usize::try_from(count).unwrap_or(usize::MAX));
    let mut slugs = HashSet::new();
    let at = OPENED_AT + SIGNED_UP_AFTER.1;
    for index in 0..count {
        let owner = owners.next().ok_or(SeedError::Scale)?;
        let city = random.word(words::CITIES);
        let name = organisation_name(index);
        let organisation = Organisation {
            id: random.id(at),
            owner: owner.id,
            // A key drawn at random belongs to nobody; a real payment to it fails.
            key: legal("chave", PixKey::parse(PixKeyType::Random, &random.uuid_v4().to_string()))?,
            receiver: legal("nome_recebedor", ReceiverName::parse(&name))?,
            city: legal("cidade", City::parse(city))?,
            bank_account: 0,
        };
        let id = organisation.id;
        rows.push([
            id.into(),
            unique_slug(&mut slugs, &name, "organizadora", id).as_str().into(),
            legal("nome", Name::parse(&name))?.as_str().into(),
            cnpj(index)?.as_str().into(),
            OrganizadoraStatus::Verified.as_str().into(),
            at.into(),
            at.into(),
        ]);
        let staff = [Role::Editor, Role::Finance, Role::Reader].into_iter().zip(others.by_ref());
        for (role, person) in std::iter::once((Role::Owner, owner)).chain(staff) {
            members.push([id.into(), person.id.into(), role.as_str().into(), at.into()]);
        }
        keys.push([
            random.id(at).into(),
            id.into(),
            organisation.key.kind().as_str().into(),
            organisation.key.as_str().into(),
            organisation.receiver.as_str().into(),
            organisation.city.as_str().into(),
            owner.id.into(),
            at.into(),
            at.into(),
        ]);
        organisations.push(organisation);
    }
    rows.store(db).await?;
    members.store(db).await?;
    keys.store(db).await?;
    let accounts = open_accounts(
        db,
        "INSERT INTO contas (tipo, dono) SELECT t.tipo, o.id FROM organizadoras o, (VALUES ('banco'), ('a_devolver')) AS t (tipo)
         ORDER BY o.id, t.tipo RETURNING tipo, dono, id",
        "banco",
    )
    .await?;
    for organisation in &mut organisations {
        organisation.bank_account = *accounts.get(&organisation.id).ok_or(SeedError::Illegal("conta"))?;
    }
    Ok(organisations)
}

fn organisation_name(index: u32) -> String {
    let index = usize::try_from(index).unwrap_or_default();
    let kind = words::ORGANISATION_KINDS.get(index % words::ORGANISATION_KINDS.len()).copied().unwrap_or_default();
    let name = words::ORGANISATION_NAMES.get(index % words::ORGANISATION_NAMES.len()).copied().unwrap_or_default();
    format!("{kind} {name}")
}

/// A number that says that it is for show, with the check digits that make it legal.
fn cnpj(index: u32) -> Result<Cnpj, SeedError> {
    let base = format!("DEMO{:04}{:04}", index % 10_000, index / 10_000 + 1);
    Cnpj::with_check_digits(&base).map_err(|_| SeedError::Illegal("cnpj"))
}

fn unique_slug(taken: &mut HashSet<String>, title: &str, fallback: &'static str, id: Uuid) -> Slug {
    let slug = Slug::from_title(title, fallback);
    if taken.insert(slug.as_str().to_owned()) { slug } else { slug.with_suffix(id) }
}

/// The text of a campaign.
struct CampaignText {
    cause: &'static Cause,
    title: String,
    description: String,
}

fn text(random: &mut Random, index: usize) -> Result<CampaignText, SeedError> {
    let cause = words::CAUSES.get(index % words::CAUSES.len()).ok_or(SeedError::Illegal("titulo"))?;
    // A cause that comes again says where.
    let round = index / words::CAUSES.len();
    let city = words::CITIES.get((index + round) % words::CITIES.len()).copied().unwrap_or_default();
    let title = if round == 0 { cause.title.to_owned() } else { format!("{} em {city}", cause.title) };
    let description = format!(
        "{}\n\nCom esta campanha, em {city}, queremos {}. {}",
        random.word(words::OPENINGS),
        cause.purpose,
        random.word(words::PROMISES),
    );
    Ok(CampaignText { cause, title, description })
}

/// The first campaign takes donations, most others do too.
fn status(random: &mut Random, index: u32) -> CampaignStatus {
    match (index, random.below(100)) {
        (0, _) | (_, 0..90) => CampaignStatus::Published,
        (_, 90..94) => CampaignStatus::Paused,
        (_, 94..98) => CampaignStatus::Ended,
        _ => CampaignStatus::Draft,
    }
}

/// Stores `count` campaigns in the order of their making.
pub(super) async fn campaigns<'a>(
    db: &mut PgConnection,
    random: &mut Random,
    count: u32,
    organisations: &'a [Organisation],
) -> Result<Vec<SeedCampaign<'a>>, SeedError> {
    let mut rows = Rows::of(
        "campanhas (id, organizadora_id, slug, titulo, descricao, categoria, meta_centavos, minimo_centavos, maximo_centavos, inicio_em,
                    fim_em, mostra_valores, situacao, publicada_em, encerrada_em, criada_em, atualizada_em, versao)",
    );
    let mut campaigns = Vec::new();
    let mut slugs = HashSet::new();
    for (index, organisation) in (0..count).zip(organisations.iter().cycle()) {
        let created = spread(CAMPAIGN_MADE_AFTER, index, count);
        let text = text(random, usize::try_from(index).unwrap_or_default())?;
        let status = status(random, index);
        let campaign = SeedCampaign { id: random.id(created), organisation, status, published: created + DRAFT_TIME, account: 0 };
        let goal = (!random.chance(150)).then(|| i64::try_from(1 + random.below(60)).unwrap_or(1) * 500_000);
        let end = match status {
            CampaignStatus::Ended => Some(LAST_CLOSED_AT),
            _ if random.chance(600) => Some(FAR_FUTURE + Duration::days(i64::from(index % 365))),
            _ => None,
        };
        let public = status.is_public().then_some(campaign.published);
        let (changed, version) = match status {
            CampaignStatus::Draft => (created, 1),
            CampaignStatus::Published => (campaign.published, 2),
            _ => (LAST_CLOSED_AT, 3),
        };
        let slug = unique_slug(&mut slugs, &text.title, "campanha", campaign.id);
        rows.push([
            campaign.id.into(),
            organisation.id.into(),
            slug.as_str().into(),
            legal("titulo", Title::parse(&text.title))?.as_str().into(),
            legal("descricao", Description::parse(&text.description))?.as_str().into(),
            text.cause.category.as_str().into(),
            goal.into(),
            MIN_DONATION_CENTAVOS.into(),
            MAX_DONATION_CENTAVOS.into(),
            public.into(),
            end.into(),
            (!random.chance(50)).into(),
            status.as_str().into(),
            public.into(),
            (status == CampaignStatus::Ended).then_some(LAST_CLOSED_AT).into(),
            created.into(),
            changed.into(),
            ColumnValue::Integer(version),
        ]);
        campaigns.push(campaign);
    }
    rows.store(db).await?;
    let accounts = open_accounts(
        db,
        "INSERT INTO contas (tipo, dono) SELECT 'campanha', id FROM campanhas ORDER BY id RETURNING tipo, dono, id",
        "campanha",
    )
    .await?;
    for campaign in &mut campaigns {
        campaign.account = *accounts.get(&campaign.id).ok_or(SeedError::Illegal("conta"))?;
    }
    Ok(campaigns)
}

/// Runs `insert`, which makes accounts; those of `kind` by their owner.
async fn open_accounts(db: &mut PgConnection, insert: &'static str, kind: &str) -> Result<HashMap<Uuid, i64>, StoreError> {
    let accounts: Vec<(String, Uuid, i64)> = sqlx::query_as(insert).fetch_all(db).await?;
    Ok(accounts.into_iter().filter(|(tipo, ..)| tipo == kind).map(|(_, owner, id)| (owner, id)).collect())
}
