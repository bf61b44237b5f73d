//! What each operation's failure is for the client. No wildcard arms: a new failure must be given its answer here.

use std::sync::Arc;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::problem::{Code, Problem};
use super::rate_limit;
use crate::domain::donation::DonationStatus;
use crate::gateway::ChargeError;
use crate::limits::{Exceeded, Rule, whole_seconds};
use crate::password::PasswordsError;
use crate::service::accounts::AccountError;
use crate::service::campaigns::CampaignError;
use crate::service::claims::ClaimError;
use crate::service::donations::{DonationError, DonorError};
use crate::service::idempotency::IdempotencyError;
use crate::service::organizadoras::{CreateOrganizadoraError, SetPixKeyError, UpdateOrganizadoraError};
use crate::service::refunds::RefundError;
use crate::service::sessions::LogInError;
use crate::service::settle::SettleError;
use crate::store::campaigns::UpdateCampaignError;
use crate::store::members::MemberError;
use crate::store::{FailureClass, StoreError};
use crate::streams::Full;

/// Seconds after which a client that got no stream may try again: streams last for minutes.
const STREAMS_FULL_RETRY_SECONDS: u32 = 30;

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error.class() {
            FailureClass::Unavailable => Self::unavailable(error),
            FailureClass::Fault => Self::internal(error),
        }
    }
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        let detail = match exceeded.rule() {
            Rule::DonationDevice | Rule::DonationIp | Rule::RepeatIp | Rule::LookUpIp => {
                "Espere o tempo de Retry-After e repita a doação igual, com a mesma chave."
            }
            Rule::ReadIp => "Espere o tempo de Retry-After e leia com menos frequência; ETag e Cache-Control ajudam.",
            Rule::LoginEmail | Rule::LoginIp | Rule::Password => "Espere o tempo de Retry-After antes de tentar outra senha.",
            Rule::SignUpEmail | Rule::SignUpIp | Rule::ResetEmail | Rule::ResetIp => {
                "Veja se a mensagem já chegou, também na pasta de spam; outra pode ser pedida depois do tempo de Retry-After."
            }
            Rule::CodeIp => "Espere o tempo de Retry-After antes de tentar outro código.",
            Rule::StreamIp => "Até lá, leia os totais de vez em quando em /totais.",
        };
        let seconds = whole_seconds(exceeded.retry).max(1);
        Self {
            headers: Some(Box::new(rate_limit::headers(exceeded.state()).collect())),
            ..Self::new(Code::RateLimited, detail).retry_after(seconds)
        }
    }
}

impl From<Full> for Problem {
    fn from(full: Full) -> Self {
        let detail = match full {
            Full::Process => "Há gente demais acompanhando por aqui. Leia os totais de vez em quando em /totais.",
            Full::Address => "O seu endereço já acompanha demais ao mesmo tempo. Leia os totais de vez em quando em /totais.",
        };
        Self { cause: Some(Arc::new(full)), ..Self::new(Code::Unavailable, detail).retry_after(STREAMS_FULL_RETRY_SECONDS) }
    }
}

impl From<PasswordsError> for Problem {
    fn from(error: PasswordsError) -> Self {
        match error {
            PasswordsError::Busy => Self::unavailable(error).retry_after(2),
            PasswordsError::Argon2(_) | PasswordsError::Stopped | PasswordsError::Thread(_) => Self::internal(error),
        }
    }
}

/// A task that was stopped before it could answer.
impl From<tokio::task::JoinError> for Problem {
    fn from(error: tokio::task::JoinError) -> Self {
        if error.is_panic() { Self::internal(error) } else { Self::unavailable(error) }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::BadToken => Self::new(Code::BadToken, "O código é desconhecido, já foi usado ou venceu. Peça outro."),
            AccountError::WrongPassword => Self::new(
                Code::BadCredentials,
                "A senha tem de ser a que foi escolhida no cadastro deste código. Confira, ou cadastre-se de novo com outra.",
            ),
            AccountError::Stale => stale(),
            AccountError::Passwords(error) => error.into(),
            AccountError::Store(error) => error.into(),
        }
    }
}

impl From<LogInError> for Problem {
    fn from(error: LogInError) -> Self {
        match error {
            LogInError::Refused => {
                Self::new(Code::BadCredentials, "Confira o e-mail e a senha. Cadastro novo só entra depois de confirmar o e-mail.")
            }
            LogInError::Passwords(error) => error.into(),
            LogInError::Store(error) => error.into(),
        }
    }
}

impl From<CreateOrganizadoraError> for Problem {
    fn from(error: CreateOrganizadoraError) -> Self {
        match error {
            CreateOrganizadoraError::CnpjTaken => {
                Self::new(Code::CnpjTaken, "Outra organizadora usa este CNPJ. Se for a sua, fale com o suporte.")
            }
            CreateOrganizadoraError::SlugTaken => slug_taken(),
            CreateOrganizadoraError::Owner(_) => Self::internal(error),
            CreateOrganizadoraError::Store(error) => error.into(),
        }
    }
}

impl From<UpdateOrganizadoraError> for Problem {
    fn from(error: UpdateOrganizadoraError) -> Self {
        match error {
            UpdateOrganizadoraError::Stale => stale(),
            UpdateOrganizadoraError::Store(error) => error.into(),
        }
    }
}

impl From<SetPixKeyError> for Problem {
    fn from(error: SetPixKeyError) -> Self {
        match error {
            SetPixKeyError::WrongPassword => Self::new(Code::ReauthenticationRequired, "A senha não confere; a chave não mudou."),
            SetPixKeyError::RecentOwner { until } => recent_owner(until),
            SetPixKeyError::Passwords(error) => error.into(),
            SetPixKeyError::Store(error) => error.into(),
        }
    }
}

impl From<MemberError> for Problem {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::NotFound => Self::not_found(),
            MemberError::AlreadyMember => Self::new(Code::AlreadyMember, "Para mudar o papel, use PATCH."),
            MemberError::LastOwner => Self::new(Code::LastOwner, "Dê o papel `dona` a outra pessoa antes."),
            MemberError::RecentOwner { until } => recent_owner(until),
            MemberError::Store(error) => error.into(),
        }
    }
}

impl From<CampaignError> for Problem {
    fn from(error: CampaignError) -> Self {
        match error {
            CampaignError::NotFound => Self::not_found(),
            CampaignError::SlugTaken => slug_taken(),
            CampaignError::Stale => stale(),
            CampaignError::Transition(status) => Self::new(Code::InvalidTransition, format!("A campanha está `{}`.", status.as_str())),
            CampaignError::NotVerified => Self::new(Code::NotVerified, "Só organizadoras verificadas publicam campanhas."),
            CampaignError::NoPixKey => no_pix_key(),
            CampaignError::Ended => Self::new(Code::InvalidTransition, "O fim da campanha já passou; mude `fim_em` antes."),
            CampaignError::Refused(UpdateCampaignError::Frozen) => {
                Self::new(Code::InvalidTransition, "`meta_centavos` e `fim_em` não mudam depois da publicação.")
            }
            CampaignError::Refused(UpdateCampaignError::Limits) => {
                Self::invalid("maximo_centavos", "não pode ser menor que `minimo_centavos`")
            }
            CampaignError::Refused(UpdateCampaignError::Period) => Self::invalid("fim_em", "tem de vir depois de `inicio_em`"),
            CampaignError::Refused(UpdateCampaignError::Store(error)) | CampaignError::Store(error) => error.into(),
        }
    }
}

impl From<IdempotencyError> for Problem {
    fn from(error: IdempotencyError) -> Self {
        match error {
            IdempotencyError::InFlight => {
                Self::new(Code::KeyInFlight, "Espere e repita a requisição igual, com a mesma chave.").retry_after(1)
            }
            IdempotencyError::Reused => Self::new(Code::KeyReused, "Use uma chave nova para um corpo novo."),
            IdempotencyError::Sealed | IdempotencyError::Unwritable(_) => Self::internal(error),
            IdempotencyError::Store(error) => error.into(),
        }
    }
}

impl From<ChargeError> for Problem {
    fn from(error: ChargeError) -> Self {
        match error {
            ChargeError::NoPixKey => no_pix_key(),
        }
    }
}

impl From<DonationError> for Problem {
    fn from(error: DonationError) -> Self {
        match error {
            DonationError::NotFound => Self::not_found(),
            DonationError::Closed => Self::new(Code::CampaignClosed, "A campanha está pausada, encerrada ou fora do seu período."),
            DonationError::Limits { minimo, maximo } => {
                Self::invalid("valor_centavos", format!("esta campanha aceita de {minimo} a {maximo} centavos"))
            }
            DonationError::Provider => Self::invalid("provedor", "este provedor não está em uso aqui"),
            DonationError::Visibility(reason) => Self::invalid("visibilidade", reason),
            DonationError::Charge(error) => error.into(),
            DonationError::Idempotency(error) => error.into(),
            DonationError::Store(error) => error.into(),
        }
    }
}

impl From<DonorError> for Problem {
    fn from(error: DonorError) -> Self {
        match error {
            DonorError::NotFound => Self::not_found(),
            DonorError::Stale => stale(),
            DonorError::Transition(status) => transition(status),
            DonorError::TooManyCharges => Self::new(Code::TooManyCharges, "Pague uma das cobranças que existem, ou faça outra doação."),
            DonorError::Create(error) => error.into(),
            DonorError::Idempotency(error) => error.into(),
            DonorError::Amount(_) => Self::internal(error),
            DonorError::Visibility(reason) => Self::invalid("visibilidade", reason),
            DonorError::Store(error) => error.into(),
        }
    }
}

impl From<SettleError> for Problem {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::NotFound => Self::not_found(),
            SettleError::ReceiptTaken => {
                Self::new(Code::ReceiptTaken, "O e2eid (ou a confirmação sem e2eid) já foi registrado, ou é de outra cobrança.")
            }
            SettleError::ReceiptCase { known } => Self::new(
                Code::ReceiptTaken,
                format!(
                    "O e2eid difere do já registrado `{known}` só em maiúsculas e minúsculas. Copie-o do comprovante, letra por letra; se for o mesmo pagamento, ele já está registrado."
                ),
            ),
            SettleError::ReceiptUnnamed => Self::new(
                Code::ReceiptTaken,
                "A doação já tem um recebimento. Se chegou outro pagamento, informe o `e2eid` dele, que está no extrato ou no comprovante.",
            ),
            SettleError::Transition(status) => transition(status),
            SettleError::Time => Self::invalid("recebido_em", "não pode estar no futuro, nem antes da doação"),
            SettleError::Idempotency(error) => error.into(),
            SettleError::Store(error) => error.into(),
        }
    }
}

impl From<RefundError> for Problem {
    fn from(error: RefundError) -> Self {
        match error {
            RefundError::NotFound => Self::not_found(),
            RefundError::NoReceipt => Self::new(Code::InvalidTransition, "Não há recebimento a devolver (com este e2eid)."),
            RefundError::NothingLeft => Self::new(Code::InvalidTransition, "Tudo deste recebimento já foi devolvido."),
            RefundError::Exceeds { left } => Self::invalid("valor_centavos", format!("restam {left} centavos deste recebimento")),
            RefundError::TooLate => Self::new(Code::RefundTooLate, "Um PIX pode ser devolvido até 90 dias depois do pagamento."),
            RefundError::Transition(status) => transition(status),
            RefundError::Idempotency(error) => error.into(),
            RefundError::Store(error) => error.into(),
        }
    }
}

impl From<ClaimError> for Problem {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::NotFound => Self::not_found(),
            ClaimError::Store(error) => error.into(),
        }
    }
}

fn stale() -> Problem {
    Problem::new(Code::Stale, "Leia o recurso de novo e repita com o novo ETag em If-Match.")
}

fn recent_owner(until: OffsetDateTime) -> Problem {
    let until = until.format(&Rfc3339).unwrap_or_default();
    Problem::new(
        Code::RecentOwner,
        format!(
            "Quem se tornou dona há pouco só troca a chave PIX e remove donas mais antigas a partir de {until}. Uma dona mais antiga pode fazê-lo já."
        ),
    )
}

fn slug_taken() -> Problem {
    Problem::new(Code::SlugTaken, "Escolha outro `slug`.")
}

fn no_pix_key() -> Problem {
    Problem::new(Code::NoPixKey, "Uma dona da organizadora precisa cadastrar a chave PIX.")
}

fn transition(status: DonationStatus) -> Problem {
    Problem::new(Code::InvalidTransition, format!("A doação está `{}`.", status.as_str()))
}
