use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::slice;

use keypackage_pool::http::client::IdempotencyKey;
use keypackage_pool::http::wire::{HandedOut, TakeRequest};
use keypackage_pool::protocol::PoolStatus;
use keypackage_pool::{GroupId, Rejection};

use crate::Result;
use crate::session::Session;
use crate::user::{SUITE, User};

const HELP: [&str; 10] = [
    "/user NAME     be NAME; who is new registers, and publishes KeyPackages",
    "/group NAME    talk in this group; a new one is yours",
    "/invite NAME   add NAME to the group, online or not",
    "/say TEXT      to the group, as any line that is no command; an empty line reads what others sent meanwhile",
    "/pool [NAME]   how a pool of KeyPackages is doing",
    "/offline       go: what is sent to you waits",
    "/online        come back: read it, and refresh your pool",
    "/push          read what waits by a second process of your device, while the app refreshes your pool",
    "/clock DAYS    set your device's clock so many days ahead (-3: behind, 0: right)",
    "/quit          end",
];

/// The users of this process. What stands between them, and those of other processes, is the delivery service.
pub(crate) struct Chat {
    pub(crate) users: BTreeMap<String, User>,
    /// The address of the delivery service.
    service: String,
    refresh_every: NonZeroU32,
    /// Who types.
    me: String,
}

impl Chat {
    pub(crate) fn new(service: &str, refresh_every: NonZeroU32) -> Self {
        Self {
            users: BTreeMap::new(),
            service: service.to_owned(),
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
            ("group", name) => self.enter(checked(name)?).await,
            ("invite", name) => self.invite(name).await,
            ("say", "") => self.read_all().await,
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
        Ok(self.user(name)?.session.pools.status().await?)
    }

    fn user(&self, name: &str) -> Result<&User> {
        let user = self.users.get(name);
        user.ok_or_else(|| no_such_user(name))
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
            let session = Session::register(&self.service, name).await?;
            let new = User::new(name, session, self.refresh_every)?;
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

    async fn enter(&mut self, group: &str) -> Result<Vec<String>> {
        let me = self.me_mut()?;
        if !me.is_in(group) {
            if !me.session.found(group).await? {
                return Err(format!("{group} exists without you: somebody in it has to /invite you").into());
            }
            me.create(group)?;
        }
        me.here = Some(group.to_owned());
        Ok(Vec::new())
    }

    async fn say(&mut self, text: &str) -> Result<Vec<String>> {
        let group = self.here()?;
        let me = self.me_mut()?;
        let (message, others) = (me.encrypt(&group, text)?, me.others(&group));
        self.deliver(&others, &message).await?;
        let mut lines = self.read_all().await?;
        lines.extend(self.me()?.count_message().await?);
        Ok(lines)
    }

    /// Takes one KeyPackage on loan, until the Commit is made.
    async fn invite(&mut self, name: &str) -> Result<Vec<String>> {
        let group = self.here()?;
        let me = self.me()?;
        let others = me.others(&group);
        if name == self.me || others.iter().any(|other| other == name) {
            return Err(format!("{name} is in {group} already").into());
        }
        let pools = me.session.pools.clone();
        let wanted = TakeRequest::new().ciphersuites([SUITE]);
        let devices = match pools.reserve(checked(name)?, &wanted, &IdempotencyKey::random()?).await {
            Err(error) if error.code() == Some("unknown_user") => return Err(no_such_user(name)),
            answer => answer?,
        };
        let device = devices.into_iter().next().ok_or("everybody has a device")?;
        let HandedOut { key_package, lease, .. } = match device.answer.into_result() {
            Err(code) if code.rejection() == Some(Rejection::PoolExhausted) => {
                let why = format!("{name}'s pool is exhausted until {name} comes online and refreshes it");
                return Err(format!("{name} cannot be added now: {why}").into());
            }
            answer => answer.map_err(|code| format!("{name} cannot be added now: {code}"))?,
        };
        let token = lease.map(|lease| lease.token);
        let made = match self.me_mut()?.invite(&group, &key_package.0) {
            Ok(made) => made,
            Err(error) => {
                // Nobody saw it. Where the release fails, the lease lapses.
                let _ = pools.release(token).await;
                return Err(error);
            }
        };
        // SPEND-1: the Commit and the Welcome leave only after the receipt.
        for receipt in pools.spend(token, Some(GroupId::try_from(group.as_str())?)).await? {
            if let Err(code) = receipt.into_result() {
                self.me_mut()?.abandon(&group)?;
                return Err(format!("{name} cannot be added now: {code}").into());
            }
        }
        self.me_mut()?.confirm(&group)?;
        self.deliver(&others, &made.commit).await?;
        self.deliver(slice::from_ref(&name.to_owned()), &made.welcome).await?;
        self.read_all().await
    }

    async fn deliver(&self, to: &[String], message: &[u8]) -> Result<()> {
        for name in to {
            self.me()?.session.leave(name, message).await?;
        }
        Ok(())
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

fn no_such_user(name: &str) -> Box<dyn std::error::Error> {
    format!("no such user: {name:?} (/user registers)").into()
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
