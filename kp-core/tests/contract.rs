//! Compares the ids of rules that the repository cites with the texts of `kp_core::contract`.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use kp_core::contract::{ALL, METADATA, Rule, STORE};

/// Names other things that look like ids of rules.
const NO_RULES: [&str; 2] = ["SHA-256", "UTF-8"];

/// Selects the files that cite rules, by the ending of the name.
const ENDINGS: [&str; 4] = ["rs", "sql", "lua", "md"];

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Returns the root of the repository, or of the crate where the crate is packaged alone.
fn root() -> Outcome<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let parent = own.parent().ok_or("a crate lies in a folder")?;
    let workspace = fs::read_to_string(parent.join("Cargo.toml")).unwrap_or_default();
    let names_this_crate = workspace.contains("[workspace]") && workspace.contains("\"kp-core\"");
    // Another workspace may contain this crate, and cite other things.
    let is_repository = names_this_crate && parent.join("docs/writing-a-backend.md").exists();
    Ok(if is_repository { parent } else { own }.to_path_buf())
}

/// Calls `read` with the path and the text of every file that may cite a rule.
fn each_text(folder: &Path, read: &mut impl FnMut(&Path, &str)) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !["target", "node_modules"].contains(&name) && !name.starts_with('.') {
                each_text(&path, read)?;
            }
        } else if ENDINGS
            .iter()
            .any(|ending| path.extension().is_some_and(|it| it == *ending))
        {
            read(&path, &fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// Splits an id into its family and its number.
fn parts(id: &str) -> Option<(&str, u32)> {
    let (family, number) = id.split_once('-')?;
    let is_family = family.len() > 1 && family.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    number
        .parse()
        .ok()
        .filter(|_| is_family && is_number)
        .map(|number| (family, number))
}

/// Returns the ids that a text cites. A range, as from the first rule of a family to the third, cites all between.
fn cited(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let words: Vec<_> = text.split(|c| !is_part(c)).filter(|word| !word.is_empty()).collect();
    let mut found = BTreeSet::new();
    for (at, word) in words.iter().enumerate() {
        let Some((family, first)) = parts(word).filter(|_| !NO_RULES.contains(word)) else {
            continue;
        };
        let last = match words.get(at + 1..at + 3) {
            Some(["to", end]) => parts(end).filter(|(other, _)| *other == family).map(|(_, last)| last),
            _ => None,
        };
        found.extend((first..=last.unwrap_or(first)).map(|number| format!("{family}-{number}")));
    }
    found
}

/// Returns the ids that have no text in the contract.
fn without_text<'a>(ids: impl IntoIterator<Item = &'a String>) -> Vec<&'a String> {
    let has_text = |id: &String| ALL.iter().any(|rule| rule.id == *id && says_more_than_its_title(rule));
    ids.into_iter().filter(|id| !has_text(id)).collect()
}

/// Returns whether a rule has a text, and the text is not its title or its id.
fn says_more_than_its_title(rule: &Rule) -> bool {
    let letters = |text: &str| text.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "");
    let text = letters(rule.text);
    !text.is_empty() && text != letters(rule.about) && text != letters(rule.id)
}

#[test]
fn every_rule_that_is_cited_has_its_text() -> Outcome {
    let root = root()?;
    let mut citations = BTreeMap::<String, PathBuf>::new();
    let mut read = |path: &Path, text: &str| {
        for id in cited(text) {
            citations.entry(id).or_insert_with(|| path.to_path_buf());
        }
    };
    each_text(&root, &mut read)?;

    // The walk saw the contract itself, wherever it stands.
    let unseen: Vec<_> = ALL.iter().filter(|rule| !citations.contains_key(rule.id)).collect();
    assert!(unseen.is_empty(), "{} was not read: {unseen:?}", root.display());

    let lacking = without_text(citations.keys());
    let where_cited: Vec<_> = lacking.iter().filter_map(|id| citations.get_key_value(*id)).collect();
    assert!(
        lacking.is_empty(),
        "cited, and without a text in the contract: {where_cited:?}"
    );
    Ok(())
}

#[test]
fn a_citation_is_found_wherever_it_stands() {
    let unknown = ["POOL", "99"].join("-");
    for text in [
        format!("-- {unknown}"),
        format!("`{unknown}`"),
        format!("// {unknown}: why"),
        format!("[{unknown}](x)"),
        format!("[`{unknown}`]."),
        ["`POOL-1` to `POOL", "99`"].join("-"),
        ["`ERR-1`, `POOL", "99`"].join("-"),
    ] {
        let ids = cited(&text);
        assert_eq!(without_text(&ids).last(), Some(&&unknown), "in {text}");
    }
    let range = cited("`RES-8` to `RES-10`").into_iter().collect::<Vec<_>>();
    assert_eq!(range, ["RES-10", "RES-8", "RES-9"]);
    assert!(cited("SHA-256, UTF-8, SAVE_1, X-1, TIME-1a").is_empty());
}

#[test]
fn every_rule_has_an_id_a_title_and_a_text_of_its_own() {
    for part in [|rule: &Rule| rule.id, |rule: &Rule| rule.text] {
        let all: BTreeSet<_> = ALL.iter().map(|rule| part(rule).trim()).collect();
        assert_eq!(all.len(), ALL.len());
        assert!(!all.contains(""));
    }
    for rule in ALL {
        assert!(
            says_more_than_its_title(rule),
            "{} says no more than its title",
            rule.id
        );
        assert!(parts(rule.id).is_some(), "{} is no id", rule.id);
    }
}

#[test]
fn a_family_counts_from_one_without_a_gap() {
    let mut next = BTreeMap::new();
    for rule in ALL {
        let (family, number) = parts(rule.id).unwrap_or_default();
        let due = next.entry(family).or_insert(1);
        assert_eq!(number, *due, "{}", rule.id);
        *due += 1;
    }
}

#[test]
fn the_lists_are_those_of_the_suites() {
    assert_eq!(STORE.len(), 58);
    assert_eq!(METADATA.len(), 6);
    assert_eq!(kp_core::rules::CATALOGUE, STORE);
    assert_eq!(kp_core::rules::CLIENT_CATALOGUE, METADATA);
}
