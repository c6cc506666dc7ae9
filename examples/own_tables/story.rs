//! The story, the same on both databases: a delivery service keeps, beside the pools, for whom the Welcome of each KeyPackage is.

use std::process::{Command, ExitCode};

use keypackage_pool::server::{KeyPackageStore, Save, TakeRequest};
use keypackage_pool::{
    BoxError, Ciphersuite, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime,
    PoolId, ReservationId, Status, Timestamp, Ttl,
};

pub(crate) type Result<T> = std::result::Result<T, BoxError>;

/// A moment of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Begun,
    Claimed,
    Written,
    Committed,
}

const STEPS: [Step; 4] = [Step::Begun, Step::Claimed, Step::Written, Step::Committed];

/// What becomes of a claim on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate {
    Succeeds,
    /// The server finds a reason against it.
    Fails(Step),
    /// The process ends.
    Dies(Step),
}

impl Fate {
    pub(crate) fn meet(self, step: Step) -> Result<()> {
        match self {
            Self::Fails(at) if at == step => Err("the group is full".into()),
            Self::Dies(at) if at == step => std::process::abort(),
            _ => Ok(()),
        }
    }
}

/// A delivery service on one of the databases.
pub(crate) trait Server {
    fn store(&self) -> &impl KeyPackageStore;

    /// Claims a KeyPackage, and writes for whom its Welcome is, in one transaction.
    async fn claim(&mut self, take: TakeRequest, now: Timestamp, fate: Fate) -> Result<KeyPackage>;

    /// Returns for whom the Welcome is that names this KeyPackage.
    async fn addressee(&self, named: &KeyPackageRef) -> Result<Option<PoolId>>;
}

/// Tells the story; or, if this process was started by the story, claims and dies.
pub(crate) async fn run<S: Server>(place: &str, open: impl AsyncFn(&str) -> Result<S>) -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    let done = match &arguments[..] {
        [_, step, place] => claim_and_die(step, open(place).await).await,
        _ => match open(place).await {
            Ok(server) => tell(server, place).await,
            Err(error) => Err(error),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n  ✗ {error}");
            ExitCode::FAILURE
        }
    }
}

async fn claim_and_die(step: &str, server: Result<impl Server>) -> Result<()> {
    let number: usize = step.parse()?;
    let step = *STEPS.get(number).ok_or("there is no such step")?;
    server?.claim(take(10 + number)?, now()?, Fate::Dies(step)).await?;
    Err("it did not die".into())
}

async fn tell(mut server: impl Server, place: &str) -> Result<()> {
    let (bob, now) = (bob()?, now()?);
    let packages = (0..8).map(key_package).collect::<Result<Vec<_>>>()?;
    let save = Save::new(bob.clone(), packages)?;
    server.store().save_key_packages(&save, now).await?;

    println!("\nA claim and its row");
    let claimed = server.claim(take(1)?, now, Fate::Succeeds).await?;
    let named = &claimed.info.key_package_ref;
    let addressee = server.addressee(named).await?;
    promise(
        "the Welcome finds its way",
        addressee.as_ref() == Some(&bob),
        1,
        &server,
    )
    .await?;
    let again = server.claim(take(1)?, now, Fate::Succeeds).await?;
    promise("asked again: the same KeyPackage", again == claimed, 1, &server).await?;

    println!("\nThe server finds a reason against it");
    for (number, step) in [(2, Step::Claimed), (3, Step::Written)] {
        let failed = server.claim(take(number)?, now, Fate::Fails(step)).await;
        promise(&format!("failed once {step:?}: neither"), failed.is_err(), 1, &server).await?;
    }

    println!("\nThe process dies");
    for (number, step) in STEPS.iter().enumerate() {
        let mut child = Command::new(std::env::current_exe()?);
        let died = !child.args([&number.to_string(), place]).status()?.success();
        let (kept, spent) = if *step == Step::Committed {
            ("both", 2)
        } else {
            ("neither", 1)
        };
        promise(&format!("died once {step:?}: {kept}"), died, spent, &server).await?;
    }
    let late = server.claim(take(13)?, now, Fate::Succeeds).await?;
    promise("asked again: what was committed", late != claimed, 2, &server).await
}

/// Prints what was promised if it was kept: among it, that so many KeyPackages are spent, and that each of these has its row and
/// no other has one.
async fn promise(what: &str, kept: bool, spent: usize, server: &impl Server) -> Result<()> {
    let refs = (0..8)
        .map(|number| Ok(key_package(number)?.info.key_package_ref))
        .collect::<Result<Vec<_>>>()?;
    let statuses = server.store().get_statuses(&bob()?, &refs, now()?).await?;
    let (mut found, mut paired) = (0, true);
    for (named, status) in refs.iter().zip(statuses) {
        let is_spent = matches!(status, Some(Status::Spent { .. }));
        found += usize::from(is_spent);
        paired &= server.addressee(named).await?.is_some() == is_spent;
    }
    if !(kept && paired && found == spent) {
        return Err(format!("not as promised: {what} ({found} spent, each with its row: {paired})").into());
    }
    println!("  ✓ {what:<40} {found} spent, {found} routed");
    Ok(())
}

fn bob() -> Result<PoolId> {
    Ok(PoolId::try_from("bob/phone")?)
}

fn now() -> Result<Timestamp> {
    Ok(Timestamp::try_from(1_700_000_000)?)
}

/// Asks for a KeyPackage of Bob's; who asks again uses the same number.
fn take(number: usize) -> Result<TakeRequest> {
    let id = ReservationId::from_bytes([u8::try_from(number)?; 16]);
    Ok(TakeRequest::new(bob()?, id, Ttl::try_from(600)?))
}

/// The quickstart has real ones; a store takes them as they are.
fn key_package(number: u8) -> Result<KeyPackage> {
    let lifetime = Lifetime::new(now()?, now()?.plus(86_400))?;
    let named = KeyPackageRef::try_from([number; 32].as_slice())?;
    let info = KeyPackageInfo::new(named, Ciphersuite(1), lifetime, CredentialHash([0; 32]));
    Ok(KeyPackage::new(
        info,
        KeyPackageBytes::try_from([number; 300].as_slice())?,
    ))
}
