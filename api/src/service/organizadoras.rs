//! Organisations, their members and their PIX keys.

use secrecy::SecretString;
use time::{Duration, OffsetDateTime};

use super::Actor;
use super::accounts::{AccountError, password_matches};
use super::change::Change;
use crate::cache::Tag;
use crate::config::Profile;
use crate::domain::br_code::{City, ReceiverName};
use crate::domain::cnpj::Cnpj;
use crate::domain::ids::{OrganizadoraId, PersonId};
use crate::domain::organizadora::OrganizadoraStatus;
use crate::domain::pix_key::PixKey;
use crate::domain::role::Role;
use crate::domain::slug::Slug;
use crate::domain::text::Name;
use crate::mail::{Mail, Recipient};
use crate::password::PasswordsError;
use crate::state::Core;
use crate::store::members::{self, MemberError, MemberRow};
use crate::store::organizadoras::{self as store, InsertError, NewPixKey, Organizadora, OrganizadoraRow, StoredPixKey};
use crate::store::{StoreError, campaigns, ledger, people};

/// An organisation to make.
#[derive(Clone, Debug)]
pub struct NewOrganizadora {
    /// Its name.
    pub nome: Name,
    /// Its slug; made from the name where there is none.
    pub slug: Option<Slug>,
    /// Its CNPJ.
    pub cnpj: Cnpj,
    /// Its PIX key.
    pub pix_key: Option<NewKey>,
}

/// A PIX key with the names for the BR Code.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The key.
    pub key: PixKey,
    /// Who receives.
    pub receiver: ReceiverName,
    /// Where.
    pub city: City,
}

/// Why an organisation was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateOrganizadoraError {
    /// Another organisation has the CNPJ.
    #[error("the cnpj is taken")]
    CnpjTaken,
    /// The slug is taken.
    #[error("the slug is taken")]
    SlugTaken,
    /// The person who makes it cannot become its owner, for instance because the account was suspended meanwhile.
    #[error("the owner cannot become a member")]
    Owner(#[source] MemberError),
    /// A statement failed; no organisation was made, unless the connection broke during COMMIT.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<MemberError> for CreateOrganizadoraError {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::Store(error) => Self::Store(error),
            MemberError::NotFound | MemberError::AlreadyMember | MemberError::LastOwner | MemberError::RecentOwner { .. } => {
                Self::Owner(error)
            }
        }
    }
}

impl From<InsertError> for CreateOrganizadoraError {
    fn from(error: InsertError) -> Self {
        match error {
            InsertError::CnpjTaken => Self::CnpjTaken,
            InsertError::SlugTaken => Self::SlugTaken,
            InsertError::Store(error) => Self::Store(error),
        }
    }
}

/// Makes an organisation that `owner` owns. In development it is verified at once; in production a person verifies it later. A slug
/// made from the name gets a suffix if it is taken.
pub async fn create(core: &Core, owner: PersonId, new: &NewOrganizadora) -> Result<Organizadora, CreateOrganizadoraError> {
    let situacao = match core.profile {
        Profile::Development => OrganizadoraStatus::Verified,
        Profile::Production => OrganizadoraStatus::Pending,
    };
    let mut change = Change::begin(core, Actor::Person(owner)).await?;
    let (id, now) = (OrganizadoraId(change.new_id()), change.now());
    let slug = new.slug.clone().unwrap_or_else(|| Slug::from_title(new.nome.as_str(), "organizadora"));
    let row = OrganizadoraRow { id, slug: &slug, nome: &new.nome, cnpj: &new.cnpj, situacao };
    let made = match store::insert(change.db(), &row, now).await {
        Err(InsertError::SlugTaken) if new.slug.is_none() => {
            store::insert(change.db(), &OrganizadoraRow { slug: &slug.with_suffix(id.0), ..row }, now).await?
        }
        other => other?,
    };
    ledger::open_organizadora(change.db(), id).await?;
    members::insert(change.db(), id, owner, Role::Owner, now).await?;
    if let Some(key) = &new.pix_key {
        store::insert_pix_key(change.db(), &pix_key_row(core, id, owner, key, now), now).await?;
    }
    change.audit("organizadora.criada", id, serde_json::json!({})).await?;
    // An earlier look-up may have cached that there is no such organisation; the list has one more.
    change.invalidate([Tag::organizadora(&made.slug), Tag::organizadoras()]);
    change.commit().await?;
    Ok(made)
}

fn pix_key_row<'a>(core: &Core, id: OrganizadoraId, by: PersonId, new: &'a NewKey, from: OffsetDateTime) -> NewPixKey<'a> {
    NewPixKey {
        id: core.clock.new_id(),
        organizadora_id: id,
        key: &new.key,
        nome_recebedor: new.receiver.as_str(),
        cidade: new.city.as_str(),
        criada_por: by,
        vigora_em: from,
    }
}

/// Why an organisation did not change.
#[derive(Debug, thiserror::Error)]
pub enum UpdateOrganizadoraError {
    /// The organisation has another version than the caller named: somebody else changed it.
    #[error("the organizadora has another version")]
    Stale,
    /// A statement failed; nothing was changed, unless the connection broke during COMMIT.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Renames an organisation if `version` is still its current version; without `nome` only the version is raised.
pub async fn update(
    core: &Core,
    id: OrganizadoraId,
    version: i32,
    nome: Option<&Name>,
    by: PersonId,
) -> Result<Organizadora, UpdateOrganizadoraError> {
    let mut change = Change::begin(core, Actor::Person(by)).await?;
    let now = change.now();
    let changed = store::rename(change.db(), id, version, nome, now).await?.ok_or(UpdateOrganizadoraError::Stale)?;
    change.audit("organizadora.alterada", id, serde_json::json!({})).await?;
    // Its campaigns show its name, a draft too once it is published a moment from now.
    let campaigns = campaigns::slugs(change.db(), id).await?;
    let tags = [Tag::organizadora(&changed.slug), Tag::organizadoras(), Tag::campaigns()];
    change.invalidate(tags);
    change.invalidate(campaigns.iter().map(|slug| Tag::campaign(slug)));
    change.commit().await?;
    Ok(changed)
}

/// Why a PIX key was not set.
#[derive(Debug, thiserror::Error)]
pub enum SetPixKeyError {
    /// The password is not the person's.
    #[error("wrong password")]
    WrongPassword,
    /// The person who asks became an owner too recently to change the key.
    #[error("a recent dona cannot change the key before {until}")]
    RecentOwner {
        /// The time from which she may change it.
        until: OffsetDateTime,
    },
    /// The password could not be checked, for instance because too many wait for it.
    #[error(transparent)]
    Passwords(#[from] PasswordsError),
    /// A statement failed; the key was not set, unless the connection broke during COMMIT.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AccountError> for SetPixKeyError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Passwords(error) => Self::Passwords(error),
            AccountError::Store(error) => Self::Store(error),
            AccountError::BadToken | AccountError::WrongPassword | AccountError::Stale => Self::WrongPassword,
        }
    }
}

/// Sets the PIX key, if `password` is the password of `by`, and returns the key in force and those that wait. The first key counts
/// at once; a later one after the cool-down. Every owner gets a letter, and everyone who was one in the last 30 days.
pub async fn set_pix_key(
    core: &Core,
    id: OrganizadoraId,
    by: PersonId,
    password: SecretString,
    new: &NewKey,
) -> Result<Vec<StoredPixKey>, SetPixKeyError> {
    if !password_matches(core, by, password).await? {
        return Err(SetPixKeyError::WrongPassword);
    }
    let mut change = Change::begin(core, Actor::Person(by)).await?;
    let now = change.now();
    if let Some(until) = restricted_until(&mut change, id, by).await? {
        return Err(SetPixKeyError::RecentOwner { until });
    }
    let known = store::pix_keys(change.db(), id, now).await?;
    let from = if known.is_empty() { now } else { now + core.pix_key_cool_down() };
    store::insert_pix_key(change.db(), &pix_key_row(core, id, by, new, from), now).await?;
    let detail = serde_json::json!({ "tipo": new.key.kind().as_str(), "primeira": known.is_empty() });
    change.audit("organizadora.chave_pix", id, detail).await?;
    let nome = store::name(change.db(), id).await?;
    tell_owners(&mut change, id, &Mail::PixKeyChanged { organizadora: &nome, from }).await?;
    let keys = store::pix_keys(change.db(), id, now).await?;
    change.commit().await?;
    Ok(keys)
}

/// Time for which a former owner still gets letters about the owners and the PIX key.
pub const FORMER_OWNER_NOTICE_PERIOD: Duration = Duration::days(30);

/// Time in which a new owner can neither remove older owners nor change the PIX key, so that they can read the letter about her first.
/// The same in every profile: it is no convenience of testing.
pub const OWNER_COOL_DOWN: Duration = Duration::hours(24);

/// The time until which `pessoa` may neither remove older owners nor change the PIX key; `None` where she may. It is
/// [`OWNER_COOL_DOWN`] after she became an owner. The first owner has no such time.
async fn restricted_until(change: &mut Change<'_>, id: OrganizadoraId, person_id: PersonId) -> Result<Option<OffsetDateTime>, StoreError> {
    let now = change.now();
    let since = members::later_owner_since(change.db(), id, person_id, now - FORMER_OWNER_NOTICE_PERIOD).await?;
    Ok(since.map(|since| since + OWNER_COOL_DOWN).filter(|until| *until > now))
}

/// Checks that `by` may take the role `dona` from `pessoa`, and returns whether `pessoa` has it. The error is
/// [`MemberError::RecentOwner`] if `by` is a recent owner and `pessoa` has been one for longer.
async fn guard_owner(change: &mut Change<'_>, id: OrganizadoraId, by: PersonId, person_id: PersonId) -> Result<bool, MemberError> {
    let Some(theirs) = members::owner_since(change.db(), id, person_id).await? else { return Ok(false) };
    if let Some(until) = restricted_until(change, id, by).await?
        && members::owner_since(change.db(), id, by).await?.is_some_and(|own| theirs < own)
    {
        return Err(MemberError::RecentOwner { until });
    }
    Ok(true)
}

/// Sends `mail` to every owner, and to everyone who was one in the last 30 days ([`FORMER_OWNER_NOTICE_PERIOD`]).
async fn tell_owners(change: &mut Change<'_>, id: OrganizadoraId, mail: &Mail<'_>) -> Result<(), StoreError> {
    let now = change.now();
    for (name, address) in members::owners_to_tell(change.db(), id, now - FORMER_OWNER_NOTICE_PERIOD).await? {
        change.mail(Recipient::named(&name, &address), mail).await?;
    }
    Ok(())
}

/// Adds a member and sends them a letter. If the role is `dona`, every owner gets a letter as well.
pub async fn add_member(core: &Core, id: OrganizadoraId, by: PersonId, person_id: PersonId, role: Role) -> Result<MemberRow, MemberError> {
    let mut change = Change::begin(core, Actor::Person(by)).await?;
    let now = change.now();
    let member = members::insert(change.db(), id, person_id, role, now).await?;
    let detail = serde_json::json!({ "pessoa": person_id, "papel": role });
    change.audit("membro.adicionado", id, detail).await?;
    let nome = store::name(change.db(), id).await?;
    if let Some((name, address)) = people::address(change.db(), person_id).await? {
        let mail = Mail::MemberAdded { organizadora: &nome };
        change.mail(Recipient::named(&name, &address), &mail).await?;
    }
    if role == Role::Owner {
        let from = now + OWNER_COOL_DOWN;
        tell_owners(&mut change, id, &Mail::OwnerAdded { organizadora: &nome, owner: &member.nome, from }).await?;
    }
    change.commit().await?;
    Ok(member)
}

/// Changes a member's role. Every owner gets a letter if the member becomes an owner or ceases to be one.
pub async fn change_member(
    core: &Core,
    id: OrganizadoraId,
    by: PersonId,
    person_id: PersonId,
    role: Role,
) -> Result<MemberRow, MemberError> {
    let mut change = Change::begin(core, Actor::Person(by)).await?;
    let now = change.now();
    let was_owner = if role == Role::Owner {
        members::owner_since(change.db(), id, person_id).await?.is_some()
    } else {
        guard_owner(&mut change, id, by, person_id).await?
    };
    let member = members::update(change.db(), id, person_id, role, now).await?;
    let detail = serde_json::json!({ "pessoa": person_id, "papel": role });
    change.audit("membro.alterado", id, detail).await?;
    if was_owner != (role == Role::Owner) {
        let nome = store::name(change.db(), id).await?;
        let mail = if was_owner {
            Mail::OwnerRemoved { organizadora: &nome, owner: &member.nome }
        } else {
            Mail::OwnerAdded { organizadora: &nome, owner: &member.nome, from: now + OWNER_COOL_DOWN }
        };
        tell_owners(&mut change, id, &mail).await?;
    }
    change.commit().await?;
    Ok(member)
}

/// Removes a member. If she was an owner, every owner gets a letter, herself included.
pub async fn remove_member(core: &Core, id: OrganizadoraId, by: PersonId, person_id: PersonId) -> Result<(), MemberError> {
    let mut change = Change::begin(core, Actor::Person(by)).await?;
    let now = change.now();
    let was_owner = guard_owner(&mut change, id, by, person_id).await?;
    members::delete(change.db(), id, person_id, now).await?;
    change.audit("membro.removido", id, serde_json::json!({ "pessoa": person_id })).await?;
    if was_owner && let Some((owner, _)) = people::address(change.db(), person_id).await? {
        let nome = store::name(change.db(), id).await?;
        tell_owners(&mut change, id, &Mail::OwnerRemoved { organizadora: &nome, owner: &owner }).await?;
    }
    change.commit().await?;
    Ok(())
}
