use serde::Serialize;

use crate::failure::Failure;
use crate::pool_name::PoolName;
use crate::report::{Report, print};
use crate::stores::{self, Store};

#[derive(Serialize)]
#[serde(transparent)]
struct Pools(Vec<String>);

impl Report for Pools {
    fn text(&self) -> String {
        self.0.join("\n")
    }
}

pub(crate) async fn run(store: &Store, json: bool) -> Result<(), Failure> {
    let mut names: Vec<_> = stores::pools(store)
        .await?
        .into_iter()
        .map(|pool| PoolName(pool).to_string())
        .collect();
    names.sort_unstable();
    print(&Pools(names), json)
}
