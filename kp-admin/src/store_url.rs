//! Reads what a URL says of a store, beside where its server is: a schema of PostgreSQL, a prefix and a number of buckets of
//! Redis.

use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// The most buckets that a store has.
const MAX_BUCKETS: u16 = 16_384;

/// The parameters of PostgreSQL's own client. Those of TLS begin with `ssl`: of them the client itself says which it takes.
const OF_POSTGRES: [&str; 17] = [
    "user",
    "password",
    "dbname",
    "options",
    "application_name",
    "host",
    "hostaddr",
    "port",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "target_session_attrs",
    "channel_binding",
    "load_balance_hosts",
];

/// A store, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreUrl {
    Sqlite {
        path: String,
    },
    Postgres {
        /// With the parameters that the server's own client takes.
        url: String,
        schema: Option<String>,
    },
    Redis {
        url: String,
        prefix: Option<String>,
        buckets: Option<u16>,
    },
}

/// Says why a text names no store. A value is not repeated: it may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidUrl {
    #[error("a store is sqlite:PATH, postgres://, redis:// or redis-cluster://")]
    UnknownScheme,
    #[error("{store} takes no parameter `{name}`: it takes {known}")]
    UnknownParameter {
        store: &'static str,
        name: String,
        known: &'static str,
    },
    #[error("the parameter `{0}` is given twice")]
    Twice(&'static str),
    #[error("the parameter `{0}` has an impossible value")]
    Value(&'static str),
}

impl FromStr for StoreUrl {
    type Err = InvalidUrl;

    fn from_str(url: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = url.split_once(':').ok_or(InvalidUrl::UnknownScheme)?;
        match scheme {
            "sqlite" => match rest.split_once('?') {
                None => Ok(Self::Sqlite { path: rest.to_owned() }),
                Some((_, query)) => Err(unknown("sqlite:", query, "none")),
            },
            "postgres" | "postgresql" => {
                let (url, [schema]) = take(url, ["schema"])?;
                let query = url.split_once('?').map_or("", |(_, query)| query);
                let is_taken = |name: &str| name.is_empty() || name.starts_with("ssl") || OF_POSTGRES.contains(&name);
                if let Some(other) = query.split('&').find(|parameter| !is_taken(name_of(parameter))) {
                    return Err(unknown(
                        "postgres:",
                        other,
                        "schema, and those of its own such as sslmode",
                    ));
                }
                Ok(Self::Postgres { url, schema })
            }
            "redis" | "rediss" | "redis-cluster" | "rediss-cluster" | "redis-sentinel" | "rediss-sentinel" => {
                let (url, [prefix, buckets]) = take(url, ["prefix", "buckets"])?;
                if let Some((_, query)) = url.split_once('?') {
                    return Err(unknown("redis:", query, "prefix and buckets"));
                }
                // Braces mark the hash tag of a cluster's keys.
                if prefix.as_ref().is_some_and(|prefix| prefix.contains(['{', '}'])) {
                    return Err(InvalidUrl::Value("prefix"));
                }
                let buckets = match buckets.map(|number| number.parse()) {
                    None => None,
                    Some(Ok(number @ 1..=MAX_BUCKETS)) => Some(number),
                    Some(_) => return Err(InvalidUrl::Value("buckets")),
                };
                Ok(Self::Redis { url, prefix, buckets })
            }
            _ => Err(InvalidUrl::UnknownScheme),
        }
    }
}

fn unknown(store: &'static str, query: &str, known: &'static str) -> InvalidUrl {
    let name = name_of(query).to_owned();
    InvalidUrl::UnknownParameter { store, name, known }
}

/// Returns the name of the first parameter.
fn name_of(query: &str) -> &str {
    query.split(['=', '&']).next().unwrap_or_default()
}

/// Decodes a value. `None`: it is no text, or has a `%` without two digits.
fn decoded(value: &str) -> Option<String> {
    let is_escape =
        |text: &str| matches!(text.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    if !value.split('%').skip(1).all(is_escape) {
        return None;
    }
    let text = percent_decode_str(value).decode_utf8().ok()?;
    Some(text.into_owned())
}

/// Takes the parameters of these names out of a URL.
fn take<const N: usize>(url: &str, names: [&'static str; N]) -> Result<(String, [Option<String>; N]), InvalidUrl> {
    let mut values = [const { None }; N];
    let Some((address, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), values));
    };
    let mut others = Vec::new();
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let Some(place) = names.iter().position(|known| *known == name) else {
            others.push(parameter);
            continue;
        };
        let value = decoded(value).filter(|value| !value.is_empty());
        let value = value.ok_or(InvalidUrl::Value(names[place]))?;
        if values[place].replace(value).is_some() {
            return Err(InvalidUrl::Twice(names[place]));
        }
    }
    let rest = if others.is_empty() {
        address.to_owned()
    } else {
        format!("{address}?{}", others.join("&"))
    };
    Ok((rest, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<StoreUrl, InvalidUrl> {
        url.parse()
    }

    #[test]
    fn what_is_not_default_is_read() {
        assert_eq!(
            read("postgres://kp@db/kp?schema=of%20kp&sslmode=require"),
            Ok(StoreUrl::Postgres {
                url: "postgres://kp@db/kp?sslmode=require".to_owned(),
                schema: Some("of kp".to_owned()),
            })
        );
        assert_eq!(
            read("redis-cluster://a:1,b:2?buckets=64&prefix=mls%3A"),
            Ok(StoreUrl::Redis {
                url: "redis-cluster://a:1,b:2".to_owned(),
                prefix: Some("mls:".to_owned()),
                buckets: Some(64),
            })
        );
        assert_eq!(
            read("redis://db/3"),
            Ok(StoreUrl::Redis {
                url: "redis://db/3".to_owned(),
                prefix: None,
                buckets: None,
            })
        );
        let path = "pools.db".to_owned();
        assert_eq!(read("sqlite:pools.db"), Ok(StoreUrl::Sqlite { path }));
    }

    #[test]
    fn what_no_store_takes_is_refused() {
        let unknown = |url: &str| match read(url) {
            Err(InvalidUrl::UnknownParameter { name, .. }) => name,
            other => panic!("{url}: {other:?}"),
        };
        assert_eq!(unknown("redis://db?prefx=mls:"), "prefx");
        assert_eq!(unknown("redis://db?prefix=mls:&schema=kp"), "schema");
        assert_eq!(unknown("sqlite:pools.db?mode=ro"), "mode");
        assert_eq!(read("redis://db?buckets=many"), Err(InvalidUrl::Value("buckets")));
        for buckets in ["65536", "16385", "0", "-1"] {
            let url = format!("redis://db?buckets={buckets}");
            assert_eq!(read(&url), Err(InvalidUrl::Value("buckets")), "{url}");
        }
        for prefix in ["", "%ff", "%ZZ", "%7", "a%", "a{b", "%7Da"] {
            let url = format!("redis://db?prefix={prefix}");
            assert_eq!(read(&url), Err(InvalidUrl::Value("prefix")), "{url}");
        }
        assert_eq!(unknown("postgres://db/kp?prefix=x"), "prefix");
        assert_eq!(unknown("postgres://db/kp?sslmode=require&buckets=8"), "buckets");
        assert_eq!(
            read("postgres://db?schema=a&schema=b"),
            Err(InvalidUrl::Twice("schema"))
        );
        for no_store in ["mysql://db", "pools.db", ""] {
            assert_eq!(read(no_store), Err(InvalidUrl::UnknownScheme), "{no_store}");
        }
    }
}
