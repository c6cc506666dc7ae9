//! The story: what is typed, what comes of it, and whether it is as promised.

use std::fmt::Display;

use keypackage_pool::Counts;
use keypackage_pool::protocol::Health;

use crate::chat::Chat;
use crate::user::SUITE;
use crate::{Result, explain};

pub(crate) async fn play(chat: Chat) -> Result<()> {
    let mut story = Story { chat, seen: Vec::new() };
    story.three_register().await?;
    story.they_talk().await?;
    story.a_pool_is_refreshed().await?;
    story.bob_is_away().await?;
    story.bob_comes_back().await?;
    story.two_processes_of_bobs_meet().await?;
    story.bobs_clock_is_wrong().await?;
    story.mistakes_are_told().await?;
    println!("\nAll as promised.");
    Ok(())
}

fn chapter(title: &str) {
    println!("\n{title}");
}

/// Prints what was promised and what was seen. A promise that is not kept ends the story.
fn promise(what: &str, kept: bool, seen: impl Display) -> Result<()> {
    if !kept {
        return Err(format!("not as promised: {what} ({seen})").into());
    }
    println!("  ✓ {what:<52} {seen}");
    Ok(())
}

struct Story {
    chat: Chat,
    /// What came of the lines typed last.
    seen: Vec<String>,
}

impl Story {
    /// Types these lines, and shows what comes of each.
    async fn types(&mut self, lines: &[&str]) {
        self.seen.clear();
        for line in lines {
            println!("  {} {line}", self.chat.prompt());
            let told = self.chat.type_in(line).await;
            let told = told.unwrap_or_else(|error| vec![explain(&*error)]);
            told.iter().for_each(|line| println!("      {line}"));
            self.seen.extend(told);
        }
    }

    /// How many of the lines seen last begin like this.
    fn seen(&self, begin: &str) -> usize {
        self.seen.iter().filter(|line| line.starts_with(begin)).count()
    }

    async fn pool(&self, name: &str) -> Result<(Health, Counts)> {
        let status = self.chat.status(name).await?;
        let suite = status.ciphersuites.get(&SUITE).ok_or("nothing was ever published")?;
        Ok((suite.health, suite.counts))
    }

    async fn three_register(&mut self) -> Result<()> {
        chapter("Alice, Bob and Carol register");
        self.types(&["/user alice", "/user bob", "/user carol"]).await;
        for name in ["alice", "bob", "carol"] {
            let (health, counts) = self.pool(name).await?;
            let kept = health == Health::Good && counts.available == 4;
            promise(&format!("{name}'s KeyPackages are published"), kept, counts.available)?;
        }
        Ok(())
    }

    async fn they_talk(&mut self) -> Result<()> {
        chapter("Alice invites the others, and they talk");
        self.types(&["/user alice", "/group lunch", "/invite carol", "/invite bob"])
            .await;
        let joined = self.seen("carol joins lunch") + self.seen("bob joins lunch");
        promise("both join", joined == 2, format!("{joined} Welcomes"))?;
        let (_, counts) = self.pool("bob").await?;
        let seen = format!("{} left", counts.available);
        promise("it costs each of them a KeyPackage", counts.spent == 1, seen)?;

        self.types(&["Noodles at noon?", "/user bob", "Yes!"]).await;
        let read =
            self.seen("bob reads in lunch: alice: Noodles at noon?") + self.seen("carol reads in lunch: bob: Yes!");
        promise("they read each other", read == 2, "end to end")?;
        Ok(())
    }

    async fn a_pool_is_refreshed(&mut self) -> Result<()> {
        chapter("Every five messages a pool is refreshed, and filled if the server says that it is low");
        self.types(&["/user alice", "/group tennis", "/invite bob", "/pool bob"])
            .await;
        let (health, counts) = self.pool("bob").await?;
        promise(
            "Bob's pool runs low",
            health == Health::Low,
            format!("{} left", counts.available),
        )?;
        // Of the messages so far he had two Welcomes and Alice's to read, and sent one.
        self.types(&["/group chess", "/invite bob", "/pool bob"]).await;
        let refreshed = self.seen("bob's pool is refreshed: 3 KeyPackages published");
        let (health, counts) = self.pool("bob").await?;
        let kept = refreshed == 1 && health == Health::Good;
        promise(
            "his fifth message fills it, since the server said so",
            kept,
            format!("{} left", counts.available),
        )?;
        Ok(())
    }

    async fn bob_is_away(&mut self) -> Result<()> {
        chapter("Bob is offline, and everybody invites him");
        self.types(&["/user bob", "/offline", "/user alice"]).await;
        for group in ["/group film", "/group golf", "/group jazz", "/group yoga"] {
            self.types(&[group, "/invite bob"]).await;
        }
        self.types(&["Mind the gap", "/group book", "/invite bob"]).await;
        let (health, _) = self.pool("bob").await?;
        let told = self.seen("bob cannot be added now: bob's pool is exhausted") == 1;
        promise("the fifth is told why it fails", told, format!("{health:?}"))?;

        let bob = self.chat.users.get_mut("bob").ok_or("Bob has registered")?;
        bob.collect().await?;
        promise(
            "four Welcomes and a message wait",
            bob.inbox.len() == 5,
            bob.inbox.len(),
        )?;
        let mut windows = bob.inbox.iter().flat_map(|message| message.windows(12));
        let secret = windows.all(|window| window != b"Mind the gap");
        promise("who holds them cannot read them", secret, "encrypted")?;

        // POOL-6: OpenMLS deletes the key before it finds out.
        let mut forged = bob.inbox.front().ok_or("the Welcomes wait")?.clone();
        if let Some(byte) = forged.last_mut() {
            *byte ^= 1;
        }
        bob.inbox.push_front(forged);
        promise(
            "somebody slips in a forged Welcome",
            bob.inbox.len() == 6,
            "one bit differs",
        )?;
        Ok(())
    }

    async fn bob_comes_back(&mut self) -> Result<()> {
        chapter("Bob comes back");
        self.types(&["/user bob", "/online"]).await;
        promise(
            "the forged Welcome is refused",
            self.seen("bob cannot read") == 1,
            "and costs no key",
        )?;
        promise(
            "he joins all four groups",
            self.seen("bob joins") == 4,
            "the genuine ones",
        )?;
        let read = self.seen("bob reads in yoga: alice: Mind the gap");
        promise("he reads what was said", read == 1, "in the fourth")?;
        let (_, counts) = self.pool("bob").await?;
        promise(
            "his pool is full again",
            counts.available == 4,
            format!("{} left", counts.available),
        )?;

        self.types(&["/user alice", "/invite bob"]).await;
        promise("now he can be invited", self.seen("bob joins book") == 1, "book")?;
        let (_, counts) = self.pool("bob").await?;
        promise(
            "eight groups cost eight KeyPackages",
            counts.spent == 8,
            format!("{} used", counts.spent),
        )?;
        Ok(())
    }

    async fn two_processes_of_bobs_meet(&mut self) -> Result<()> {
        chapter("A second process of Bob's phone joins while the app refreshes");
        let (_, before) = self.pool("bob").await?;
        self.types(&[
            "/user bob",
            "/offline",
            "/user alice",
            "/group swim",
            "/invite bob",
            "Goggles!",
        ])
        .await;
        self.types(&["/user bob", "/push", "/pool bob"]).await;
        let joined = self.seen("bob joins swim, while the app refreshes");
        promise("it joins, and waits for no round", joined == 1, "swim")?;
        let read = self.seen("bob reads in swim: alice: Goggles!");
        promise("it reads what was said", read == 1, "end to end")?;
        let (_, counts) = self.pool("bob").await?;
        let kept = self.seen("bob's pool is refreshed") == 1 && counts.spent == before.spent + 1;
        promise("the refresh cost nothing else", kept, format!("{} used", counts.spent))?;
        Ok(())
    }

    async fn bobs_clock_is_wrong(&mut self) -> Result<()> {
        chapter("Bob's clock is wrong");
        let before = self.pool("bob").await?;
        self.types(&["/clock 400", "/online"]).await;
        let told = self.seen("bob's clock is 400 days ahead of the server's: set it");
        promise("he is told so", told == 1, "400 days ahead")?;
        self.types(&["/clock -400", "/online"]).await;
        let told = self.seen("bob's clock is 400 days behind the server's: set it");
        promise("the other way round, too", told == 1, "400 days behind")?;
        let kept = self.pool("bob").await? == before;
        promise("his pool is as it was", kept, format!("{} left", before.1.available))?;
        self.types(&["/user alice", "/group jog", "/invite bob", "/user bob"])
            .await;
        promise("he can be invited all the same", self.seen("bob joins jog") == 1, "jog")?;
        self.types(&["/clock 0", "/online"]).await;
        let healed = self.seen("bob's clock") == 0 && self.seen("bob's pool is refreshed") == 1;
        promise("put right, all goes on", healed, "no word of it")?;
        self.types(&["/user alice", "/group book"]).await;
        Ok(())
    }

    async fn mistakes_are_told(&mut self) -> Result<()> {
        chapter("Mistakes are told, and change nothing");
        let before = self.pool("bob").await?;
        self.types(&[
            "/dance",
            "/user a b",
            "/invite nobody",
            "/invite bob",
            "/user carol",
            "/group yoga",
        ])
        .await;
        let told = [
            "no such command: /dance",
            "a name is",
            "no such user",
            "bob is in book already",
            "yoga exists without you",
        ];
        let all = self.seen.len() == told.len() && told.iter().all(|begin| self.seen(begin) == 1);
        promise("each with its reason", all, self.seen.len())?;
        promise(
            "no KeyPackage is lost over it",
            self.pool("bob").await? == before,
            "as before",
        )?;
        Ok(())
    }
}
