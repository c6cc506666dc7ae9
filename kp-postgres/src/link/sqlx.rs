//! The statements of the store on a connection of sqlx, and what sqlx knows of a database.

use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgDatabaseError, PgSeverity, PgSslMode};
use sqlx::{Arguments, ConnectOptions, Postgres};
use tokio_postgres::error::SqlState;

use crate::link::connection::Statement;
use crate::link::error::Failure;
use crate::link::param::Param;
use crate::link::row::Row;

/// Runs statements in this order. Fails with the first failure. None is kept prepared: behind a pooler, a name would mean nothing to
/// the next session.
pub(crate) fn run<'a>(
    transaction: &'a mut sqlx::Transaction<'_, Postgres>,
    texts: &'a [String],
    statements: Vec<Statement>,
) -> BoxFuture<'a, Result<Vec<Vec<Row>>, Failure>> {
    async move {
        let mut answers = Vec::with_capacity(statements.len());
        for Statement { number, params } in statements {
            let text = texts.get(number).ok_or(Failure::Closed)?;
            let query = sqlx::query_with(text, arguments(params)?).persistent(false);
            let rows = query.fetch_all(&mut **transaction).await?;
            answers.push(rows.into_iter().map(Row::Sqlx).collect());
        }
        Ok(answers)
    }
    .boxed()
}

fn arguments(params: Vec<Param>) -> Result<PgArguments, Failure> {
    let mut arguments = PgArguments::default();
    for param in params {
        let added = match param {
            Param::Bytes(value) => arguments.add(value),
            Param::Int(value) => arguments.add(value),
            Param::Text(value) => arguments.add(value),
            Param::ManyBytes(values) => arguments.add(values),
            Param::ManyInts(values) => arguments.add(values),
            Param::ManyBools(values) => arguments.add(values),
            Param::ManyTexts(values) => arguments.add(values),
        };
        added.map_err(|error| Failure::Sqlx(sqlx::Error::Encode(error)))?;
    }
    Ok(arguments)
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let server = error
            .as_database_error()
            .and_then(|server| server.try_downcast_ref::<PgDatabaseError>());
        match server {
            None => Self::Sqlx(error),
            Some(server) => Self::Server {
                severity: format!("{:?}", server.severity()).to_uppercase(),
                code: SqlState::from_code(server.code()),
                message: server.message().to_owned(),
                fatal: matches!(server.severity(), PgSeverity::Fatal | PgSeverity::Panic),
            },
        }
    }
}

/// Returns the address that these options name, as tokio-postgres reads it. Every certificate is verified, so what sqlx calls
/// `verify-full` is `require`.
pub(crate) fn address(options: &PgConnectOptions) -> String {
    let mode = match options.get_ssl_mode() {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow | PgSslMode::Prefer => "prefer",
        PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => "require",
    };
    let mut url = options.to_url_lossy();
    url.set_query(None);
    let named = [
        ("sslmode", Some(mode)),
        ("application_name", options.get_application_name()),
        ("options", options.get_options()),
    ];
    for (name, value) in named {
        url.query_pairs_mut().extend_pairs(value.map(|value| (name, value)));
    }
    // A space is written as a plus, and read as one.
    let query = url.query().map(|query| query.replace('+', "%20"));
    url.set_query(query.as_deref());
    url.into()
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::{PgConnectOptions, PgSslMode};
    use tokio_postgres::Config;
    use tokio_postgres::config::{Host, SslMode};

    #[test]
    fn what_sqlx_is_told_is_what_the_store_is_told() {
        let options = PgConnectOptions::new_without_pgpass()
            .host("db.example.org")
            .port(5_433)
            .username("an+app")
            .password("p&ss w+rd/?#")
            .database("messenger")
            .ssl_mode(PgSslMode::VerifyFull)
            .application_name("one & other")
            .options([("synchronous_commit", "remote_apply"), ("search_path", "a b")]);
        let config: Config = super::address(&options).parse().expect("it is an address");
        assert_eq!(config.get_hosts(), [Host::Tcp("db.example.org".to_owned())]);
        assert_eq!(
            (config.get_ports(), config.get_dbname()),
            (&[5_433][..], Some("messenger"))
        );
        assert_eq!(config.get_user(), Some("an+app"));
        assert_eq!(config.get_password(), Some(&b"p&ss w+rd/?#"[..]));
        assert_eq!(config.get_ssl_mode(), SslMode::Require);
        assert_eq!(config.get_application_name(), Some("one & other"));
        assert_eq!(config.get_options(), options.get_options());
    }
}
