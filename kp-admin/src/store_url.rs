//! Reads what a URL says of a store, beside where its server is: a schema of PostgreSQL, a prefix and a number of buckets of
//! Redis.

use std::str::FromStr;

use percent_encoding::percent_decode_str;

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
                Ok(Self::Postgres { url, schema })
            }
            "redis" | "rediss" | "redis-cluster" | "rediss-cluster" | "redis-sentinel" | "rediss-sentinel" => {
                let (url, [prefix, buckets]) = take(url, ["prefix", "buckets"])?;
                if let Some((_, query)) = url.split_once('?') {
                    return Err(unknown("redis:", query, "prefix and buckets"));
                }
                let buckets = buckets.map(|number| number.parse().map_err(|_| InvalidUrl::Value("buckets")));
                Ok(Self::Redis {
                    url,
                    prefix,
                    buckets: buckets.transpose()?,
                })
            }
            _ => Err(InvalidUrl::UnknownScheme),
        }
    }
}

fn unknown(store: &'static str, query: &str, known: &'static str) -> InvalidUrl {
    let name = query.split(['=', '&']).next().unwrap_or_default().to_owned();
    InvalidUrl::UnknownParameter { store, name, known }
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
        let value = percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| InvalidUrl::Value(names[place]))?.into_owned();
        if value.is_empty() {
            return Err(InvalidUrl::Value(names[place]));
        }
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
        assert_eq!(read("redis://db?buckets=65536"), Err(InvalidUrl::Value("buckets")));
        assert_eq!(read("redis://db?prefix="), Err(InvalidUrl::Value("prefix")));
        assert_eq!(read("redis://db?prefix=%ff"), Err(InvalidUrl::Value("prefix")));
        assert_eq!(
            read("postgres://db?schema=a&schema=b"),
            Err(InvalidUrl::Twice("schema"))
        );
        for no_store in ["mysql://db", "pools.db", ""] {
            assert_eq!(read(no_store), Err(InvalidUrl::UnknownScheme), "{no_store}");
        }
    }
}
