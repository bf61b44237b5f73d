//! Closed sets that are written the same way in JSON, SQL and metrics.

/// A closed set of values. Each has a text, which is the same in metrics, logs and the API.
pub trait Label: Copy + PartialEq + 'static {
    /// Every value of the set, in the order of their definition.
    const ALL: &'static [Self];

    /// The text that stands for the value.
    fn as_str(self) -> &'static str;
}

/// Implements [`Label`] for an enum, with its values and their texts as associated functions as well.
macro_rules! texts {
    ($name:ident { $($variant:ident = $text:tt),+ $(,)? }) => {
        impl $name {
            /// Every value of the set, in the order of their definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The text that stands for the value.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl $crate::domain::text_enum::Label for $name {
            const ALL: &'static [Self] = Self::ALL;

            fn as_str(self) -> &'static str {
                self.as_str()
            }
        }
    };
}

pub(crate) use texts;

/// Defines an enum whose variants have one text each, for serde, OpenAPI and text columns alike.
///
/// sqlx's derive would look the type up by name on every new connection; this one uses the built-in `text`. The text is
/// taken as `tt`: utoipa does not see through a `literal` and would document the variants' names.
macro_rules! text_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:tt),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $text)] $variant),+
        }

        $crate::domain::text_enum::texts!($name { $($variant = $text),+ });

        impl sqlx::Type<sqlx::Postgres> for $name {
            fn type_info() -> sqlx::postgres::PgTypeInfo {
                <str as sqlx::Type<sqlx::Postgres>>::type_info()
            }

            fn compatible(ty: &sqlx::postgres::PgTypeInfo) -> bool {
                <str as sqlx::Type<sqlx::Postgres>>::compatible(ty)
            }
        }

        impl sqlx::Encode<'_, sqlx::Postgres> for $name {
            fn encode_by_ref(&self, buffer: &mut sqlx::postgres::PgArgumentBuffer) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
                <&str as sqlx::Encode<sqlx::Postgres>>::encode(self.as_str(), buffer)
            }
        }

        impl sqlx::Decode<'_, sqlx::Postgres> for $name {
            fn decode(value: sqlx::postgres::PgValueRef<'_>) -> Result<Self, sqlx::error::BoxDynError> {
                match <&str as sqlx::Decode<sqlx::Postgres>>::decode(value)? {
                    $($text => Ok(Self::$variant),)+
                    other => Err(format!("{other:?} is no {}", stringify!($name)).into()),
                }
            }
        }
    };
}

pub(crate) use text_enum;
