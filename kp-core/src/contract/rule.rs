/// One rule of the contract: its id, its title and its text.
///
/// Every rule is a constant of [`contract`](crate::contract). The documentation of the constant is the text of the
/// rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Names the rule, as docs, checks, SQL and Lua cite it: `SAVE-1`.
    pub id: &'static str,
    /// Says in a few words what the rule is about.
    pub about: &'static str,
    /// The whole rule, in Markdown, as the documentation of the constant shows it. Each line begins with a space.
    pub text: &'static str,
}

/// Declares a family of rules. Each rule becomes a documented constant whose text is data too; the family becomes a
/// documented slice that shows its rules one after the other.
macro_rules! rules {
    (
        $(#[doc = $intro:literal])+
        $family:ident;

        $(
            $(#[doc = $text:literal])+
            $name:ident = $id:literal, $about:literal;
        )+
    ) => {
        $(
            #[doc = concat!(" **", $id, "**: ", $about, ".")]
            #[doc = ""]
            $(#[doc = $text])+
            pub const $name: Rule = Rule {
                id: $id,
                about: $about,
                text: concat!($($text, "\n"),+),
            };
        )+

        $(#[doc = $intro])+
        $(
            #[doc = ""]
            #[doc = concat!(" # ", $id, ": ", $about)]
            #[doc = ""]
            $(#[doc = $text])+
        )+
        pub const $family: &[Rule] = &[$($name),+];
    };
}

pub(super) use rules;

/// Counts the rules of some families.
pub(super) const fn count(families: &[&[Rule]]) -> usize {
    let mut rules = 0;
    let mut family = 0;
    while family < families.len() {
        rules += families[family].len();
        family += 1;
    }
    rules
}

/// Lists the rules of some families, one family after the other. `N` is their [`count`].
pub(super) const fn join<const N: usize>(families: &[&[Rule]]) -> [Rule; N] {
    let mut rules = [families[0][0]; N];
    let (mut family, mut rule, mut next) = (0, 0, 0);
    while next < N {
        if rule == families[family].len() {
            (family, rule) = (family + 1, 0);
        } else {
            rules[next] = families[family][rule];
            (rule, next) = (rule + 1, next + 1);
        }
    }
    rules
}
