//! What a KeyPackage supports, and what a request requires.

use kp_core::key_package::{CredentialType, ExtensionType, ProposalType};
use kp_core::server::{Requirements, Support, TooManyTypes};

fn extensions(numbers: impl IntoIterator<Item = u16>) -> impl Iterator<Item = ExtensionType> {
    numbers.into_iter().map(ExtensionType)
}

fn supports(numbers: impl IntoIterator<Item = u16>) -> Option<Support> {
    Support::new(extensions(numbers), [], [])
}

fn required(numbers: impl IntoIterator<Item = u16>) -> Result<Requirements, TooManyTypes> {
    Requirements::new().extensions(extensions(numbers))
}

/// RES-3: order and repeats mean nothing, and neither do GREASE and the defaults.
#[test]
fn support_is_a_sorted_set_of_what_is_worth_knowing() -> Result<(), TooManyTypes> {
    let support = supports([0xF002, 10, 0xF002, 0x0A0A, 1, 5]).expect("they are few");
    assert!(support.extensions().eq(extensions([10, 0xF002])));
    assert_eq!(Some(&support), supports([10, 0xF002]).as_ref());
    assert_eq!(support.as_bytes(), [1, 0, 10, 1, 0xF0, 2]);
    let kinds = Support::new(
        [],
        [ProposalType(7), ProposalType(8)],
        [CredentialType::BASIC, CredentialType(0xFAFA)],
    );
    let kinds = kinds.expect("they are few");
    assert_eq!(kinds.as_bytes(), [2, 0, 8, 3, 0, 1, 3, 0xFA, 0xFA]);
    assert_eq!(required([0xF002, 10, 10, 3])?, required([10, 0xF002])?);
    assert!(required(1..=5)?.is_empty() && required([])?.is_empty());
    Ok(())
}

/// RES-3: at most 256 types of a kind, of those that count; else there is no support.
#[test]
fn too_many_types_are_no_support() {
    assert_eq!(
        supports(1..=5).map(|support| support.as_bytes().len()),
        Some(0),
        "defaults do not count"
    );
    let most: Vec<_> = (0x1000..0x1100).collect();
    let support = supports(most.iter().copied()).expect("256 are not too many");
    assert_eq!(support.as_bytes().len(), 3 * 256);
    assert_eq!(supports(0x1000..0x1101), None);
    let all = Support::new(
        extensions(most.iter().copied()),
        most.iter().copied().map(ProposalType),
        most.iter().copied().map(CredentialType),
    );
    assert_eq!(all.map(|all| all.as_bytes().len()), Some(2_304), "each kind by itself");
    assert_eq!(support.union(&supports([0x2000]).expect("it is one")), None);
    let union = supports([6]).and_then(|six| six.union(&supports([9])?));
    assert_eq!(union, supports([6, 9]));
}

/// RES-3: at most 64 distinct types of a kind.
#[test]
fn more_than_64_types_cannot_be_required() -> Result<(), TooManyTypes> {
    let sixty_four = required((0x1000..0x1040).chain(0x1000..0x1040))?;
    assert_eq!(sixty_four.as_bytes().len(), 3 * 64);
    let error = required(0x1000..0x1041).expect_err("they are 65");
    assert_eq!(error.to_string(), "at most 64 types of a kind can be required, not 65");
    let each = sixty_four
        .proposals((0x1000..0x1040).map(ProposalType))?
        .credentials((0x1000..0x1040).map(CredentialType))?;
    assert_eq!(each.as_bytes().len(), 3 * 3 * 64);
    // A kind that is set again is another list.
    assert_eq!(
        each.extensions([])?.proposals([])?.credentials([])?,
        Requirements::new()
    );
    Ok(())
}

/// RES-3: without support only defaults are met.
#[test]
fn requirements_are_met_by_all_of_them() -> Result<(), TooManyTypes> {
    let support = supports([6, 9, 0xF001]);
    for (numbers, met) in [
        (&[6, 0xF001][..], true),
        (&[9], true),
        (&[1, 5], true),
        (&[6, 7], false),
    ] {
        assert_eq!(
            required(numbers.iter().copied())?.are_met_by(support.as_ref()),
            met,
            "{numbers:?}"
        );
        let is_default = numbers == [1, 5];
        assert_eq!(
            required(numbers.iter().copied())?.are_met_by(None),
            is_default,
            "{numbers:?}"
        );
    }
    let proposal = Requirements::new().proposals([ProposalType(9)])?;
    assert!(!proposal.are_met_by(support.as_ref()), "9 is supported as an extension");
    Ok(())
}

/// A store reads what it wrote, and nothing else.
#[test]
fn support_is_read_from_its_own_form_alone() {
    for support in [supports([]), supports([6]), supports([6, 9, 0xF001])]
        .into_iter()
        .flatten()
    {
        assert_eq!(Support::from_bytes(support.as_bytes()), Some(support));
    }
    let too_many: Vec<u8> = (0..257_u16).flat_map(|n| [1, 0x10 + (n >> 8) as u8, n as u8]).collect();
    for damaged in [
        &[1, 0][..],
        &[1, 0, 6, 1],
        &[0, 0, 6],
        &[4, 0, 6],
        &[1, 0, 5],
        &[2, 0, 7],
        &[3, 0x1A, 0x1A],
        &[1, 0, 9, 1, 0, 6],
        &[1, 0, 6, 1, 0, 6],
        &too_many,
    ] {
        assert_eq!(Support::from_bytes(damaged), None, "{damaged:?}");
    }
}
