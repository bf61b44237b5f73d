//! Who may act for an organisation. One statement checks session and role together.

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::path::{parameter, uuid};
use super::session::{SignedIn, token_hashes, unauthenticated};
use crate::domain::ids::{DonationId, OrganizadoraId, PersonId};
use crate::domain::organizadora::{OrganizadoraRef, OrganizadoraStatus};
use crate::domain::role::{PlatformRole, Role};
use crate::domain::slug::Slug;
use crate::http::problem::{Code, Problem};
use crate::service::sessions::is_recent;
use crate::state::{AppState, Core};
use crate::store::members;
use crate::store::sessions::{self, Session, SessionWithRole};

/// Which roles a route is for.
pub trait Allowed: Send + Sync {
    /// The roles.
    const ROLES: &'static [Role];
    /// Whether platform administrators may as well.
    const ADMIN: bool = false;
    /// Whether the password must have been entered within ten minutes.
    const RECENT: bool = false;
    /// Whether the route works while the organisation is suspended. Members may still read, confirm payments and refund them;
    /// nothing else may change, above all not the PIX key and the members.
    const WHILE_SUSPENDED: bool = false;
}

/// Any member.
#[derive(Debug)]
pub struct AnyRole;
/// Who owns the organisation.
#[derive(Debug)]
pub struct Owner;
/// Who owns the organisation and entered the password a moment ago: whoever decides on members decides on money.
#[derive(Debug)]
pub struct RecentOwner;
/// Who works on campaigns.
#[derive(Debug)]
pub struct Editor;
/// Who confirms money; the password must be fresh.
#[derive(Debug)]
pub struct Confirmer;
/// Who refunds payments. The password must have been entered a moment ago, by an administrator as well.
#[derive(Debug)]
pub struct Refunder;

impl Allowed for AnyRole {
    const ROLES: &'static [Role] = Role::ALL;
    const WHILE_SUSPENDED: bool = true;
}
impl Allowed for Owner {
    const ROLES: &'static [Role] = &[Role::Owner];
}
impl Allowed for RecentOwner {
    const ROLES: &'static [Role] = &[Role::Owner];
    const RECENT: bool = true;
}
impl Allowed for Editor {
    const ROLES: &'static [Role] = &[Role::Owner, Role::Editor];
}
impl Allowed for Confirmer {
    const ROLES: &'static [Role] = &[Role::Owner, Role::Finance];
    const RECENT: bool = true;
    const WHILE_SUSPENDED: bool = true;
}
impl Allowed for Refunder {
    const ROLES: &'static [Role] = &[Role::Owner, Role::Finance];
    const ADMIN: bool = true;
    const RECENT: bool = true;
    const WHILE_SUSPENDED: bool = true;
}

/// Where the organisation is named in the path.
pub trait Named: Send + Sync {
    /// Reads the path.
    fn named(parts: &mut Parts, state: &AppState) -> impl Future<Output = Result<OrganizadoraRef, Problem>> + Send;
}

/// The path names an organisation.
#[derive(Debug)]
pub struct OfOrganizadora;
/// The path names one of its campaigns.
#[derive(Debug)]
pub struct OfCampaign;
/// The path names a donation to one of its campaigns.
#[derive(Debug)]
pub struct OfDonation;

impl Named for OfOrganizadora {
    async fn named(parts: &mut Parts, state: &AppState) -> Result<OrganizadoraRef, Problem> {
        slug(parts, state).await.map(OrganizadoraRef::Slug)
    }
}
impl Named for OfCampaign {
    async fn named(parts: &mut Parts, state: &AppState) -> Result<OrganizadoraRef, Problem> {
        slug(parts, state).await.map(OrganizadoraRef::OfCampaign)
    }
}
impl Named for OfDonation {
    async fn named(parts: &mut Parts, state: &AppState) -> Result<OrganizadoraRef, Problem> {
        uuid(parts, state, "id").await.map(|id| OrganizadoraRef::OfDonation(DonationId(id)))
    }
}

async fn slug(parts: &mut Parts, state: &AppState) -> Result<Slug, Problem> {
    Slug::parse(&parameter(parts, state, "slug").await?).map_err(|_| Problem::not_found())
}

/// A person who may act for the organisation that the path names.
///
/// The rejections: 401 if nobody is logged in; 404 for who is not a member, as if there were nothing; 403 for a member without the
/// role, or if the organisation is suspended.
#[derive(Debug)]
pub struct Member<N, A> {
    /// The person who is logged in.
    pub person: PersonId,
    /// The organisation that the path names.
    pub organizadora: OrganizadoraId,
    /// The session, for the audit.
    pub session: Session,
    marker: PhantomData<(N, A)>,
}

impl<N: Named, A: Allowed> FromRequestParts<AppState> for Member<N, A> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let hashes = token_hashes(&parts.headers, state);
        if hashes.is_empty() {
            return Err(unauthenticated());
        }
        let named = N::named(parts, state).await?;
        let SessionWithRole { session, organizadora_id, organizadora_situacao, papel_na_organizadora } =
            find(state, &hashes, &named).await?.ok_or_else(unauthenticated)?;
        let organizadora = organizadora_id.ok_or_else(Problem::not_found)?;
        if !(A::ADMIN && session.papel == PlatformRole::Admin) {
            let role = papel_na_organizadora.ok_or_else(Problem::not_found)?;
            if !A::ROLES.contains(&role) {
                return Err(forbidden(A::ROLES));
            }
        }
        check_suspension::<A>(organizadora_situacao)?;
        if A::RECENT && !is_recent(&session, state.clock.now()) {
            return Err(Problem::new(
                Code::ReauthenticationRequired,
                "Envie a senha para POST /api/v1/eu/reautenticacao e repita em até 10 minutos.",
            ));
        }
        Ok(Self { person: session.pessoa_id, organizadora, session, marker: PhantomData })
    }
}

/// The organisation `slug`, where whoever is logged in has one of `A`'s roles; for routes that name it in their body.
pub async fn require<A: Allowed>(core: &Core, who: &SignedIn, slug: &Slug) -> Result<OrganizadoraId, Problem> {
    let mut db = core.db.connection().await?;
    let found = members::role_in(&mut db, slug.as_str(), who.person()).await?;
    let (organizadora, status, role) = found.ok_or_else(|| Problem::invalid("organizadora", "não existe, ou você não é membro"))?;
    if !A::ROLES.contains(&role) {
        return Err(forbidden(A::ROLES));
    }
    check_suspension::<A>(Some(status))?;
    Ok(organizadora)
}

fn check_suspension<A: Allowed>(status: Option<OrganizadoraStatus>) -> Result<(), Problem> {
    if status == Some(OrganizadoraStatus::Suspended) && !A::WHILE_SUSPENDED {
        return Err(Problem::new(
            Code::Suspended,
            "Até ser reativada, só se leem os dados dela, se confirmam pagamentos e se registram devoluções. Fale com o suporte.",
        ));
    }
    Ok(())
}

async fn find(core: &Core, hashes: &[[u8; 32]], organizadora: &OrganizadoraRef) -> Result<Option<SessionWithRole>, Problem> {
    let now = core.clock.now();
    let mut db = core.db.connection().await?;
    for hash in hashes {
        if let Some(found) = sessions::find_with_role(&mut db, hash, organizadora, now).await? {
            sessions::touch(&mut db, &found.session, now).await?;
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn forbidden(roles: &[Role]) -> Problem {
    let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    Problem::new(Code::Forbidden, format!("É preciso um destes papéis na organizadora: {}.", names.join(", ")))
}
