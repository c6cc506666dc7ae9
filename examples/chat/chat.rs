use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::slice;

use keypackage_pool::protocol::PoolStatus;
use keypackage_pool::server::TakeOptions;
use keypackage_pool::server::{KeyPackageDirectory, Take};
use keypackage_pool::server::{Reservation, Spend};
use keypackage_pool::{GroupId, Party, Rejection};

use crate::Result;
use crate::user::{SUITE, User};

const HELP: [&str; 10] = [
    "/user NAME     be NAME; who is new registers, and publishes KeyPackages",
    "/group NAME    talk in this group; a new one is yours",
    "/invite NAME   add NAME to the group, online or not",
    "/say TEXT      to the group, as any line that is no command",
    "/pool [NAME]   how a pool of KeyPackages is doing",
    "/offline       go: what is sent to you waits",
    "/online        come back: read it, and refresh your pool",
    "/push          read what waits by a second process of your device, while the app refreshes your pool",
    "/clock DAYS    set your device's clock so many days ahead (-3: behind, 0: right)",
    "/quit          end",
];

/// All users, and what stands between them: the directory of their KeyPackages, and their inboxes.
pub(crate) struct Chat {
    pub(crate) users: BTreeMap<String, User>,
    directory: KeyPackageDirectory,
    refresh_every: NonZeroU32,
    /// Who types.
    me: String,
}

impl Chat {
    pub(crate) fn new(directory: KeyPackageDirectory, refresh_every: NonZeroU32) -> Self {
        Self {
            users: BTreeMap::new(),
            directory,
            refresh_every,
            me: String::new(),
        }
    }

    pub(crate) fn prompt(&self) -> String {
        let group = self.users.get(&self.me).and_then(|me| me.here.as_ref());
        let place = group.map(|group| format!(" in {group}")).unwrap_or_default();
        format!("{}{place}>", self.me)
    }

    /// Does what a line says, and tells what came of it.
    pub(crate) async fn type_in(&mut self, line: &str) -> Result<Vec<String>> {
        // What is said is shown on the terminals of others.
        let line = line.replace(char::is_control, " ");
        let line = line.trim();
        let (command, rest) = match line.strip_prefix('/') {
            Some(command) => command.split_once(' ').unwrap_or((command, "")),
            None => ("say", line),
        };
        match (command, rest.trim()) {
            ("user", name) => self.become_user(checked(name)?).await,
            ("group", name) => self.enter(checked(name)?),
            ("invite", name) => self.invite(name).await,
            ("say", "") => Ok(Vec::new()),
            ("say", text) => self.say(text).await,
            ("pool", "") => self.pool(&self.me()?.name).await,
            ("pool", name) => self.pool(name).await,
            ("offline", "") => self.leave(),
            ("online", "") => self.come_back().await,
            ("push", "") => self.me_mut()?.is_notified().await,
            ("clock", days) => self.set_clock(days),
            ("help", "") => Ok(HELP.map(str::to_owned).to_vec()),
            _ => Err(format!("no such command: {line} (/help lists them)").into()),
        }
    }

    pub(crate) async fn status(&self, name: &str) -> Result<PoolStatus> {
        Ok(self.directory.status(&self.user(name)?.pool_id).await?)
    }

    fn user(&self, name: &str) -> Result<&User> {
        let user = self.users.get(name);
        user.ok_or_else(|| format!("no such user: {name:?} (/user registers)").into())
    }

    fn me(&self) -> Result<&User> {
        self.users.get(&self.me).ok_or_else(|| "who are you? /user NAME".into())
    }

    fn me_mut(&mut self) -> Result<&mut User> {
        self.users
            .get_mut(&self.me)
            .ok_or_else(|| "who are you? /user NAME".into())
    }

    /// The group in which something is about to be sent.
    fn here(&self) -> Result<String> {
        let me = self.me()?;
        if !me.online {
            return Err("you are offline (/online to come back)".into());
        }
        let here = me.here.clone();
        here.ok_or_else(|| "you are in no group: /group NAME, or wait for an invitation".into())
    }

    async fn become_user(&mut self, name: &str) -> Result<Vec<String>> {
        let is_new = !self.users.contains_key(name);
        if is_new {
            let new = User::new(name, &self.directory, self.refresh_every)?;
            self.users.insert(name.to_owned(), new);
        }
        name.clone_into(&mut self.me);
        if is_new { self.come_back().await } else { Ok(Vec::new()) }
    }

    fn leave(&mut self) -> Result<Vec<String>> {
        self.me_mut()?.online = false;
        Ok(Vec::new())
    }

    /// What waited is read first: it may have cost KeyPackages, which the refresh then makes up for.
    async fn come_back(&mut self) -> Result<Vec<String>> {
        let me = self.me_mut()?;
        me.online = true;
        let mut lines = me.read().await?;
        lines.extend(me.refresh().await?);
        Ok(lines)
    }

    fn set_clock(&mut self, days: &str) -> Result<Vec<String>> {
        let days = days
            .parse()
            .map_err(|_| "a clock is some days ahead, or behind: /clock 3, /clock -3")?;
        self.me()?.clock.set(days);
        Ok(Vec::new())
    }

    fn enter(&mut self, group: &str) -> Result<Vec<String>> {
        let exists = self.users.values().any(|user| user.is_in(group));
        let me = self.me_mut()?;
        if exists && !me.is_in(group) {
            return Err(format!("{group} exists without you: somebody in it has to /invite you").into());
        }
        if !exists {
            me.create(group)?;
        }
        me.here = Some(group.to_owned());
        Ok(Vec::new())
    }

    async fn say(&mut self, text: &str) -> Result<Vec<String>> {
        let group = self.here()?;
        let me = self.me_mut()?;
        let (message, others) = (me.encrypt(&group, text)?, me.others(&group));
        self.deliver(&others, &message);
        let mut lines = self.read_all().await?;
        lines.extend(self.me()?.count_message().await?);
        Ok(lines)
    }

    /// Takes one KeyPackage on loan, until the Commit is made.
    async fn invite(&mut self, name: &str) -> Result<Vec<String>> {
        let pool = self.user(name)?.pool_id.clone();
        let group = self.here()?;
        let others = self.me()?.others(&group);
        if name == self.me || others.iter().any(|other| other == name) {
            return Err(format!("{name} is in {group} already").into());
        }
        let inviter = Party::try_from(self.me.as_str())?;
        let ask = Take::from(TakeOptions::new().by(inviter.clone()).ciphersuites([SUITE]));
        let Reservation { package, lease, .. } = match self.directory.reserve(&pool, &ask).await {
            Err(error) if error.rejection() == Some(&Rejection::PoolExhausted) => {
                let why = format!("{name}'s pool is exhausted until {name} comes online and refreshes it");
                return Err(format!("{name} cannot be added now: {why}").into());
            }
            answer => answer?,
        };
        let token = lease.map(|lease| lease.token);
        let made = match self.me_mut()?.invite(&group, &package) {
            Ok(made) => made,
            Err(error) => {
                // Nobody saw it. Where the release fails, the lease lapses.
                let _ = self.directory.release(token.as_slice()).await;
                return Err(error);
            }
        };
        // SPEND-1: the Commit and the Welcome leave only after the receipt.
        let usage = Spend::new().group(GroupId::try_from(group.as_str())?).by(inviter);
        for receipt in self.directory.spend(token.as_slice(), &usage).await {
            if let Err(error) = receipt {
                self.me_mut()?.abandon(&group)?;
                return Err(error.into());
            }
        }
        self.me_mut()?.confirm(&group)?;
        self.deliver(&others, &made.commit);
        self.deliver(slice::from_ref(&name.to_owned()), &made.welcome);
        self.read_all().await
    }

    fn deliver(&mut self, to: &[String], message: &[u8]) {
        for name in to {
            if let Some(user) = self.users.get_mut(name) {
                user.inbox.push_back(message.to_vec());
            }
        }
    }

    /// Who is online reads at once.
    async fn read_all(&mut self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for user in self.users.values_mut().filter(|user| user.online) {
            lines.extend(user.read().await?);
        }
        Ok(lines)
    }

    async fn pool(&self, name: &str) -> Result<Vec<String>> {
        let status = self.status(name).await?;
        let suites = status.ciphersuites.values().map(|suite| {
            let (health, counts) = (suite.health, suite.counts);
            format!(
                "{name}'s pool: {health:?}, {} KeyPackages left, {} used",
                counts.available, counts.spent
            )
        });
        Ok(suites.collect())
    }
}

/// A name of a user or a group: it ends up in ids of bounded length.
fn checked(name: &str) -> Result<&str> {
    let fits = (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if fits {
        Ok(name)
    } else {
        Err("a name is 1 to 32 letters, digits and hyphens".into())
    }
}
